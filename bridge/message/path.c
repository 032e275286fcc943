/* message/path.c - the path of a request, made from topic levels; see message/path.h.
 *
 * Why no topic can leave the base URL: what separates segments ('/') stands in
 * the template only; a level is one run of unreserved characters and escapes,
 * and neither empty, "." nor ".."; and where a level shares its segment with
 * literal text, that text is more than dots.
 */
#include "message/path.h"

#include "message/reference.h"
#include "message/topic.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Either literal text or a reference. */
struct part {
    unsigned level; /* number of the topic level; 0: it is literal text */
    const char *text;
    size_t bytes;
};

struct path_template {
    char *text; /* what the parts point into */
    struct part *parts;
    size_t count;
};

/* What one segment is made of, gathered while it is read. */
struct segment {
    bool references;
    bool dots;
    bool others;
    size_t bytes;
};

static int __attribute__((warn_unused_result)) refuse(char **ret_why, char *why)
{
    *ret_why = why;
    return -EINVAL;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The characters of RFC 3986's pchar, '%' aside. */
static bool is_path_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~!$&'()*+,;=:@", c));
}

static int check_segment(const struct segment *segment, bool last, char **ret_why)
{
    if (segment->bytes == 0 && !last)
        return refuse(ret_why, xstrdup("it contains '//': leave one '/' out"));
    if (segment->dots && !segment->others) {
        if (segment->references)
            return refuse(ret_why, xstrdup("a segment of only dots and topic levels could become '..': "
                                           "add another character to it, or leave the dots out"));
        if (segment->bytes <= 2)
            return refuse(ret_why, xstrdup("it contains a segment '.' or '..': write the path without it"));
    }
    return 0;
}

static int check_escape(const char *at, char **ret_why)
{
    static const char *const forbidden[] = {"2e", "2f", "5c", "00"};
    if (!is_hex(at[1]) || !is_hex(at[2]))
        return refuse(ret_why, xstrdup("'%' must be followed by two hexadecimal digits; "
                                       "a '%' itself is written %25"));
    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++)
        if (!strncasecmp(at + 1, forbidden[i], 2))
            return refuse(ret_why, xasprintf("%.3s (an encoded '.', '/', '\\' or NUL) is not allowed", at));
    return 0;
}

static int refuse_char(char c, char **ret_why)
{
    switch (c) {
    case '?':
        return refuse(ret_why,
                      xstrdup("'?' is not allowed: give query parameters by the backend's 'query' key"));
    case '#':
        return refuse(ret_why, xstrdup("'#' is not allowed: a request has no fragment"));
    case '{':
    case '}':
        return refuse(ret_why, xstrdup(REFERENCE_LEVELS_ONLY));
    default:
        if (c > ' ' && c < 0x7f)
            return refuse(ret_why,
                          xasprintf("'%c' is not allowed in a path: write it as %%%02X", c, (unsigned)c));
        return refuse(ret_why, xasprintf("the byte 0x%02X is not allowed in a path: write it as %%%02X",
                                         (unsigned)(unsigned char)c, (unsigned)(unsigned char)c));
    }
}

static void add_part(struct path_template *path, struct part part)
{
    path->parts = xrealloc(path->parts, (path->count + 1) * sizeof(part));
    path->parts[path->count++] = part;
}

/* Cuts path->text into parts and checks every segment on the way. */
static int parse_parts(struct path_template *path, char **ret_why)
{
    const char *at = path->text;
    if (!*at)
        return 0;
    if (*at != '/')
        return refuse(ret_why, xstrdup("it must start with '/' (or be empty)"));

    const char *literal = at; /* where the literal text before `at` starts */
    struct segment segment = {0};
    at++;
    for (;;) {
        int r = 0;
        size_t step = 1;
        if (*at == '/' || !*at) {
            r = check_segment(&segment, !*at, ret_why);
            segment = (struct segment){0};
        } else if (*at == '{') {
            const char *after;
            unsigned level = reference_parse_level(at, &after);
            if (level == 0)
                return refuse_char(*at, ret_why);
            if (at > literal)
                add_part(path, (struct part){.text = literal, .bytes = (size_t)(at - literal)});
            add_part(path, (struct part){.level = level});
            literal = after;
            step = (size_t)(after - at);
            segment.references = true;
            segment.bytes += step;
        } else if (*at == '%') {
            r = check_escape(at, ret_why);
            step = 3;
            segment.others = true;
            segment.bytes += step;
        } else if (is_path_char(*at)) {
            *(*at == '.' ? &segment.dots : &segment.others) = true;
            segment.bytes++;
        } else {
            r = refuse_char(*at, ret_why);
        }
        if (r < 0)
            return r;
        if (!*at)
            break;
        at += step;
    }
    if (at > literal)
        add_part(path, (struct part){.text = literal, .bytes = (size_t)(at - literal)});
    return 0;
}

int path_template_parse(const char *text, struct path_template **ret, char **ret_why)
{
    struct path_template *path = xcalloc(1, sizeof(*path));
    path->text = xstrdup(text);
    int r = parse_parts(path, ret_why);
    if (r < 0) {
        path_template_free(path);
        return r;
    }
    *ret = path;
    return 0;
}

void path_template_free(struct path_template *path)
{
    if (!path)
        return;
    free(path->parts);
    free(path->text);
    free(path);
}

unsigned path_template_highest_level(const struct path_template *path)
{
    unsigned highest = 0;
    for (size_t i = 0; i < path->count; i++)
        if (path->parts[i].level > highest)
            highest = path->parts[i].level;
    return highest;
}

int path_template_expand(const struct path_template *path, const char *topic, struct buf *out, char **ret_why)
{
    for (size_t i = 0; i < path->count; i++) {
        const struct part *part = &path->parts[i];
        int r;
        if (part->level == 0) {
            r = buf_append(out, part->text, part->bytes);
        } else {
            const char *level;
            size_t bytes;
            if (!topic_level(topic, part->level, &level, &bytes))
                return refuse(ret_why, xasprintf("the topic has no level %u", part->level));
            if (bytes == 0)
                return refuse(ret_why, xasprintf("topic level %u is empty", part->level));
            if (level[0] == '.' && (bytes == 1 || (bytes == 2 && level[1] == '.')))
                return refuse(ret_why, xasprintf("topic level %u is '%.*s'", part->level, (int)bytes, level));
            r = buf_append_percent_encoded(out, level, bytes);
        }
        if (r < 0)
            return r;
    }
    return 0;
}
