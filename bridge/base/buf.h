/* base/buf.h - a growing byte buffer with a limit.
 *
 * Invariants: data is NULL (nothing was appended yet), or it holds `bytes` bytes and a
 * NUL after them, which is not counted. So text in it is a C string. A buffer never grows
 * beyond its limit: the append that would exceed it fails with -EMSGSIZE, marks the buffer
 * as `overflowed`, and leaves the content as it was. After several appends, one call of
 * buf_overflowed() returns whether all of them succeeded.
 */
#ifndef SLUICE_BUF_H
#define SLUICE_BUF_H

#include "base/base.h"
#include <stdbool.h>

/* The highest limit. */
#define BUF_MOST_BYTES (SIZE_MAX / 4)

struct buf {
    char *data;
    size_t bytes;
    size_t capacity;
    size_t limit_bytes;
    bool overflowed;
};

#define cleanup_buf __attribute__((cleanup(buf_done)))

void buf_init(struct buf *buf, size_t limit_bytes);
void buf_done(struct buf *buf);  /* frees the memory; the buffer may be used again */
void buf_reset(struct buf *buf); /* empties it and keeps the memory */
/* Shortens the content to its first `bytes`; it must have as many. The buffer remains
 * `overflowed` if it was. */
void buf_cut(struct buf *buf, size_t bytes);

/* Each returns 0 or -EMSGSIZE. */
int buf_append(struct buf *buf, const void *data, size_t bytes);
int buf_append_text(struct buf *buf, const char *text);
int buf_append_char(struct buf *buf, char c);
int buf_append_number(struct buf *buf, int64_t number); /* decimal; much faster than buf_printf() */
int buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* Appends text percent-encoded: everything but the unreserved characters
 * A-Z a-z 0-9 - . _ ~ (RFC 3986, section 2.3). */
int buf_append_percent_encoded(struct buf *buf, const char *text, size_t bytes);

/* True when any append failed since the last reset. */
bool buf_overflowed(const struct buf *buf);
/* The text so far; "" when nothing was appended. Valid until the next append. */
const char *buf_text(const struct buf *buf);

#endif
