/* text/json_repair.c - repairs of what small devices write in place of JSON; see
 * text/json_repair.h.
 *
 * One pass over the tokens. It need not know where a token may stand: whoever checks the
 * result finds that out.
 */
#include "text/json_repair.h"

#include "base/utf8.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static const char byte_order_mark[] = "\xef\xbb\xbf";
#define MARK_BYTES (sizeof(byte_order_mark) - 1)

static const char *skip_marks(const char *at, const char *end)
{
    while ((size_t)(end - at) >= MARK_BYTES && memcmp(at, byte_order_mark, MARK_BYTES) == 0)
        at += MARK_BYTES;
    return at;
}

/* The end without NUL bytes, and the white space between these. */
static const char *trim_end(const char *text, const char *end)
{
    const char *at = end;
    while (at > text && (at[-1] == '\0' || strchr(" \t\r\n", at[-1])))
        if (*--at == '\0')
            end = at;
    return end;
}

static int append_latin1(struct buf *out, unsigned char c)
{
    const char utf8[] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};
    return buf_append(out, utf8, sizeof(utf8));
}

/* Appends the string whose opening quote is at `at`. Returns where it ends. */
static const char *append_string(struct buf *out, const char *at, const char *end)
{
    buf_append_char(out, *at++);
    while (at < end) {
        const char *start = at;
        while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at < 0x80)
            at++;
        buf_append(out, start, (size_t)(at - start));
        if (at == end)
            break;
        uint32_t code;
        size_t bytes = utf8_sequence(at, (size_t)(end - at), &code);
        if (*at == '\\' && at + 1 < end && (unsigned char)at[1] < 0x80)
            bytes = 2; /* it may be a quote */
        bool is_end = *at == '"';
        if (bytes == 0)
            append_latin1(out, (unsigned char)*at++);
        else
            buf_append(out, at, bytes);
        at += bytes;
        if (is_end)
            break;
    }
    return at;
}

static bool is_of_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '.' || c == '+' || c == '-';
}

static bool is_no_number(const char *word, size_t bytes)
{
    static const char *const names[] = {"nan", "inf", "infinity"};
    if (*word == '-' || *word == '+')
        word++, bytes--;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strlen(names[i]) == bytes && strncasecmp(names[i], word, bytes) == 0)
            return true;
    return false;
}

/* Appends the number or the word at `at`. Returns where it ends. */
static const char *append_word(struct buf *out, const char *at, const char *end)
{
    const char *start = at;
    while (at < end && is_of_word(*at))
        at++;
    size_t bytes = (size_t)(at - start);
    if (is_no_number(start, bytes))
        buf_append_text(out, "null");
    else
        buf_append(out, start, bytes);
    return at;
}

int json_repair(const char *text, size_t bytes, struct buf *out)
{
    if (bytes == 0)
        return 0;
    const char *at = skip_marks(text, text + bytes);
    const char *end = trim_end(at, text + bytes);
    while (at < end) {
        if (*at == '"')
            at = append_string(out, at, end);
        else if (is_of_word(*at))
            at = append_word(out, at, end);
        else
            buf_append_char(out, *at++);
    }
    return buf_overflowed(out) ? -EMSGSIZE : 0;
}
