/* json.c - JSON texts as RFC 8259 spells them; see json.h. */
#include "json.h"

#include "utf8.h"

#include <stdbool.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *digits_end(const char *at, const char *end)
{
    while (at < end && is_digit(*at))
        at++;
    return at;
}

const char *json_number_end(const char *at, const char *end)
{
    if (at < end && *at == '-')
        at++;
    const char *whole = at;
    at = digits_end(at, end);
    if (at == whole || (at - whole > 1 && *whole == '0'))
        return NULL;
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        at = digits_end(at, end);
        if (at == fraction)
            return NULL;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        const char *exponent = at;
        at = digits_end(at, end);
        if (at == exponent)
            return NULL;
    }
    return at;
}

/* -- writing -- */

static bool needs_no_look(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

static int append_escape(struct buf *out, char c)
{
    static const char shorthand[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *known = c ? strchr(shorthand, c) : NULL;
    if (!known)
        return buf_printf(out, "\\u%04x", (unsigned)(unsigned char)c);
    const char escape[2] = {'\\', letters[known - shorthand]};
    return buf_append(out, escape, 2);
}

int json_append_escaped(struct buf *out, const char *text, size_t bytes)
{
    const char *at = text, *end = text + bytes;
    int r = 0;
    while (at < end && r == 0) {
        const char *start = at;
        while (at < end && needs_no_look(*at))
            at++;
        if (at > start) {
            r = buf_append(out, start, (size_t)(at - start));
            continue;
        }
        uint32_t code;
        size_t length = utf8_sequence(at, (size_t)(end - at), &code);
        if (length == 0)
            r = buf_append_text(out, "\xef\xbf\xbd");
        else if (length == 1)
            r = append_escape(out, *at);
        else
            r = buf_append(out, at, length);
        at += length ? length : 1;
    }
    return r;
}
