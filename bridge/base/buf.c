/* base/buf.c - a growing byte buffer with a limit; see base/buf.h.
 *
 * Every append calls buf_reserve(), the only function that checks the limit and
 * allocates. An append succeeds completely or changes nothing.
 */
#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FIRST_CAPACITY 64u

void buf_init(struct buf *buf, size_t limit_bytes)
{
    assert(limit_bytes <= BUF_MOST_BYTES); /* so that no sum below can overflow */
    *buf = (struct buf){.limit_bytes = limit_bytes};
}

void buf_done(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){.limit_bytes = buf->limit_bytes};
}

void buf_reset(struct buf *buf)
{
    buf->bytes = 0;
    buf->overflowed = false;
    if (buf->data)
        buf->data[0] = '\0';
}

void buf_cut(struct buf *buf, size_t bytes)
{
    assert(bytes <= buf->bytes);
    buf->bytes = bytes;
    if (buf->data)
        buf->data[bytes] = '\0';
}

/* Makes room for `bytes` more and the NUL. */
static int buf_reserve(struct buf *buf, size_t bytes)
{
    if (bytes > buf->limit_bytes - buf->bytes) {
        buf->overflowed = true;
        return -EMSGSIZE;
    }
    size_t needed = buf->bytes + bytes + 1;
    if (needed <= buf->capacity)
        return 0;
    size_t capacity = buf->capacity ? buf->capacity : FIRST_CAPACITY;
    while (capacity < needed)
        capacity *= 2;
    if (capacity > buf->limit_bytes + 1)
        capacity = buf->limit_bytes + 1;
    buf->data = xrealloc(buf->data, capacity);
    buf->capacity = capacity;
    buf->data[buf->bytes] = '\0';
    return 0;
}

int buf_append(struct buf *buf, const void *data, size_t bytes)
{
    int r = buf_reserve(buf, bytes);
    if (r < 0)
        return r;
    if (bytes)
        memcpy(buf->data + buf->bytes, data, bytes);
    buf->bytes += bytes;
    buf->data[buf->bytes] = '\0';
    return 0;
}

int buf_append_text(struct buf *buf, const char *text)
{
    return buf_append(buf, text, strlen(text));
}

int buf_append_char(struct buf *buf, char c)
{
    return buf_append(buf, &c, 1);
}

int buf_append_number(struct buf *buf, int64_t number)
{
    char digits[20]; /* 19 of them, and a sign */
    char *at = digits + sizeof(digits);
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        *--at = '-';
    return buf_append(buf, at, (size_t)(digits + sizeof(digits) - at));
}

int buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(length >= 0);

    int r = buf_reserve(buf, (size_t)length);
    if (r < 0)
        return r;
    va_start(args, format);
    vsnprintf(buf->data + buf->bytes, (size_t)length + 1, format, args);
    va_end(args);
    buf->bytes += (size_t)length;
    return 0;
}

static bool is_unreserved(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

int buf_append_percent_encoded(struct buf *buf, const char *text, size_t bytes)
{
    static const char hex[] = "0123456789ABCDEF";
    const unsigned char *from = (const unsigned char *)text;

    size_t encoded = 0;
    for (size_t i = 0; i < bytes; i++)
        encoded += is_unreserved(from[i]) ? 1 : 3;
    int r = buf_reserve(buf, encoded);
    if (r < 0)
        return r;
    char *to = buf->data + buf->bytes;
    for (size_t i = 0; i < bytes; i++) {
        if (is_unreserved(from[i])) {
            *to++ = (char)from[i];
        } else {
            *to++ = '%';
            *to++ = hex[from[i] >> 4];
            *to++ = hex[from[i] & 15];
        }
    }
    *to = '\0';
    buf->bytes += encoded;
    return 0;
}

bool buf_overflowed(const struct buf *buf)
{
    return buf->overflowed;
}

const char *buf_text(const struct buf *buf)
{
    return buf->data ? buf->data : "";
}
