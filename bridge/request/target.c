/* request/target.c - see request/target.h. */
#include "request/target.h"

#include <string.h>
#include <strings.h>

#define BASE_BYTES (sizeof TARGET_BASE - 1)

/* ---- the target ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that an escape at `at` stands for, or -1. */
static int unescape(const char *at, const char *end)
{
    if (end - at < 3)
        return -1;
    int high = hex_digit(at[1]), low = hex_digit(at[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static const char *characters_fault(const char *target, const char *end)
{
    for (const char *at = target; at < end; at++) {
        unsigned char c = (unsigned char)*at;
        if (c <= 0x20 || c == 0x7f)
            return "the target holds a blank or a control character";
        if (c >= 0x80)
            return "the target holds a character that must be percent-encoded";
        if (c == '#' || c == '\\')
            return "the target holds '#' or a backslash, which must be percent-encoded";
        if (c == '%' && unescape(at, end) == 0)
            return "the target holds %00";
    }
    return NULL;
}

static const char *path_fault(const char *path, const char *end)
{
    for (const char *at = path; at < end; at++) {
        if (*at != '%')
            continue;
        int c = unescape(at, end);
        if (c < 0)
            return "the path holds a '%' that two hexadecimal digits do not follow";
        if (c == '.' || c == '/' || c == '\\')
            return "the path holds %2e, %2f or %5c";
    }
    for (const char *at = path; at < end;) {
        const char *segment = at + 1; /* after the '/' */
        const char *next = memchr(segment, '/', (size_t)(end - segment));
        size_t bytes = (size_t)((next ? next : end) - segment);
        if (next && bytes == 0)
            return "the path holds '//'";
        if ((bytes == 1 && segment[0] == '.') || (bytes == 2 && memcmp(segment, "..", 2) == 0))
            return "the path holds a segment '.' or '..'";
        at = next ? next : end;
    }
    return NULL;
}

enum target_verdict target_check(const char *target, size_t bytes, const char **ret_why)
{
    const char *end = target + bytes;
    const char *fault = bytes == 0 || *target != '/' ? "the target does not start with '/'" : NULL;
    if (!fault)
        fault = characters_fault(target, end);
    if (!fault) {
        const char *query = memchr(target, '?', bytes);
        const char *path_end = query ? query : end;
        fault = path_fault(target, path_end);
        size_t path_bytes = (size_t)(path_end - target);
        if (!fault && (path_bytes < BASE_BYTES || memcmp(target, TARGET_BASE, BASE_BYTES) != 0 ||
                       (path_bytes > BASE_BYTES && target[BASE_BYTES] != '/')))
            return TARGET_ELSEWHERE;
    }
    if (!fault)
        return TARGET_FINE;
    *ret_why = fault;
    return TARGET_BAD;
}

/* ---- the URL ---- */

void target_append(struct buf *url, const char *target)
{
    buf_append_text(url, target + BASE_BYTES);
}

/* Whether `encoded`, percent-encoded, is this name. */
static bool is_name(const char *encoded, size_t bytes, const char *name)
{
    const char *end = encoded + bytes;
    for (; encoded < end; encoded++, name++) {
        int c = *encoded == '%' ? unescape(encoded, end) : -1;
        if (c >= 0)
            encoded += 2;
        else
            c = *encoded == '+' ? ' ' : (unsigned char)*encoded;
        if ((unsigned char)*name != c || c == 0)
            return false;
    }
    return *name == '\0';
}

static bool query_has(const char *query, const char *end, const char *name)
{
    while (query < end) {
        const char *next = memchr(query, '&', (size_t)(end - query));
        const char *pair_end = next ? next : end;
        const char *equals = memchr(query, '=', (size_t)(pair_end - query));
        if (is_name(query, (size_t)((equals ? equals : pair_end) - query), name))
            return true;
        query = next ? next + 1 : end;
    }
    return false;
}

void target_append_query(struct buf *url, const struct config_pair *pairs, size_t count)
{
    const char *mark = memchr(buf_text(url), '?', url->bytes);
    size_t start = mark ? (size_t)(mark - url->data) + 1 : url->bytes;
    size_t before = url->bytes; /* the list itself may have a name twice */
    bool first = !mark;
    for (size_t i = 0; i < count; i++) {
        if (query_has(buf_text(url) + start, buf_text(url) + before, pairs[i].name))
            continue;
        if (first)
            buf_append_char(url, '?');
        else if (url->bytes > start && url->data[url->bytes - 1] != '&')
            buf_append_char(url, '&');
        first = false;
        buf_append_percent_encoded(url, pairs[i].name, strlen(pairs[i].name));
        buf_append_char(url, '=');
        buf_append_percent_encoded(url, pairs[i].value, strlen(pairs[i].value));
    }
}
