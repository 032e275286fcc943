/* http/chunks.c - see http/chunks.h. */
#include "http/chunks.h"

#include <errno.h>

enum {
    LINE_BYTES = 4096, /* of a size with its extensions, and of all trailer lines together */
    SIZE_DIGITS = 15,  /* a number that a uint64_t holds in any case */
};

static int digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static void end_size(struct chunks *chunks)
{
    chunks->state = chunks->left > 0 ? CHUNKS_DATA : CHUNKS_TRAILER;
    chunks->line_empty = true;
    chunks->line_bytes = 0;
}

/* Each takes one byte, and returns false if it is not possible at this place. */

static bool take_size(struct chunks *chunks, char c)
{
    int digit = digit_of(c);
    if (digit >= 0) {
        chunks->left = chunks->left * 16 + (unsigned)digit;
        return ++chunks->digits <= SIZE_DIGITS;
    }
    if (chunks->digits == 0)
        return false;
    if (c == '\n')
        end_size(chunks);
    else
        chunks->state = CHUNKS_EXTENSION;
    return c == '\n' || c == '\r' || c == ';';
}

static bool take_extension(struct chunks *chunks, char c)
{
    if (c == '\n')
        end_size(chunks);
    return c == '\n' || c == '\t' || c == '\r' || (unsigned char)c >= 0x20;
}

static bool take_after_data(struct chunks *chunks, char c)
{
    if (c == '\n') {
        chunks->state = CHUNKS_SIZE;
        chunks->digits = 0;
        chunks->line_bytes = 0;
    }
    return c == '\n' || c == '\r';
}

static bool take_trailer(struct chunks *chunks, char c)
{
    if (c == '\n' && chunks->line_empty)
        chunks->state = CHUNKS_END;
    if (c != '\r')
        chunks->line_empty = c == '\n';
    return c == '\n' || c == '\t' || c == '\r' || (unsigned char)c >= 0x20;
}

/* A byte of what surrounds the data. A CR must be the last one before LF. */
static bool take_byte(struct chunks *chunks, char c)
{
    static bool (*const takes[])(struct chunks *, char) = {
        [CHUNKS_SIZE] = take_size,
        [CHUNKS_EXTENSION] = take_extension,
        [CHUNKS_AFTER_DATA] = take_after_data,
        [CHUNKS_TRAILER] = take_trailer,
    };
    if ((chunks->after_cr && c != '\n') || ++chunks->line_bytes > LINE_BYTES)
        return false;
    chunks->after_cr = c == '\r';
    return takes[chunks->state](chunks, c);
}

ssize_t chunks_read(struct chunks *chunks, const char *data, size_t bytes, const char **ret_piece,
                    size_t *ret_bytes)
{
    size_t used = 0;
    *ret_piece = data;
    *ret_bytes = 0;
    while (used < bytes && chunks->state != CHUNKS_DATA && chunks->state != CHUNKS_END)
        if (!take_byte(chunks, data[used++]))
            return -EINVAL;
    if (chunks->state != CHUNKS_DATA)
        return (ssize_t)used;
    *ret_piece = data + used;
    *ret_bytes = chunks->left < bytes - used ? (size_t)chunks->left : bytes - used;
    chunks->left -= *ret_bytes;
    if (chunks->left == 0) {
        chunks->state = CHUNKS_AFTER_DATA;
        chunks->line_bytes = 0;
    }
    return (ssize_t)(used + *ret_bytes);
}
