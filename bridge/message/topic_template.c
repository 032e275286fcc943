/* message/topic_template.c - see message/topic_template.h. */
#include "message/topic_template.h"

#include "message/topic.h"

#include <errno.h>
#include <string.h>

/* The level that "{N}" at text refers to, and where its text ends; 0: that is none. */
static unsigned reference(const char *text, const char **ret_end)
{
    unsigned level = 0;
    const char *at = text + 1;
    for (; at <= text + 2 && *at >= '0' && *at <= '9'; at++)
        level = level * 10 + (unsigned)(*at - '0');
    if (*text != '{' || text[1] == '0' || at == text + 1 || *at != '}')
        return 0;
    *ret_end = at + 1;
    return level;
}

bool topic_template_valid(const char *text, const char **ret_why)
{
    if (!topic_filter_valid(text, ret_why))
        return false;
    if (strpbrk(text, "+#")) {
        *ret_why = "it must not contain '+' or '#': a topic level is {1} to {99}";
        return false;
    }
    if (*text == '$') {
        *ret_why = "topics that begin with '$' belong to the broker";
        return false;
    }
    for (const char *at = strpbrk(text, "{}"), *end; at; at = strpbrk(end, "{}")) {
        if (reference(at, &end) == 0) {
            *ret_why = "a reference is a topic level's number in braces, {1} to {99}";
            return false;
        }
    }
    return true;
}

unsigned topic_template_highest_level(const char *text)
{
    unsigned highest = 0;
    for (const char *at = strchr(text, '{'), *end; at; at = strchr(end, '{')) {
        unsigned level = reference(at, &end);
        highest = level > highest ? level : highest;
    }
    return highest;
}

char *topic_template_filter(const char *text)
{
    char *filter = xstrdup(text), *to = filter;
    for (const char *level = text;; level++) {
        size_t bytes = strcspn(level, "/");
        if (memchr(level, '{', bytes)) {
            *to++ = '+';
        } else {
            memmove(to, level, bytes);
            to += bytes;
        }
        level += bytes;
        *to++ = *level;
        if (!*level)
            return filter;
    }
}

int topic_template_expand(const char *text, const char *topic, struct buf *out)
{
    int error = 0;
    for (const char *at = text; *at && error == 0;) {
        size_t bytes = strcspn(at, "{");
        error = buf_append(out, at, bytes);
        at += bytes;
        if (!*at || error != 0)
            break;
        const char *level;
        if (!topic_level(topic, reference(at, &at), &level, &bytes))
            return -ENOENT;
        error = buf_append(out, level, bytes);
    }
    return error;
}
