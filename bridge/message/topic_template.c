/* message/topic_template.c - see message/topic_template.h. */
#include "message/topic_template.h"

#include "message/reference.h"
#include "message/topic.h"

#include <errno.h>
#include <string.h>

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
        if (reference_parse_level(at, &end) == 0) {
            *ret_why = REFERENCE_LEVELS_ONLY;
            return false;
        }
    }
    return true;
}

unsigned topic_template_highest_level(const char *text)
{
    unsigned highest = 0;
    for (const char *at = strchr(text, '{'), *end; at; at = strchr(end, '{')) {
        unsigned level = reference_parse_level(at, &end);
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
        if (!topic_level(topic, reference_parse_level(at, &at), &level, &bytes))
            return -ENOENT;
        error = buf_append(out, level, bytes);
    }
    return error;
}
