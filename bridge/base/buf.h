/* base/buf.h - a growing byte buffer that is born with its limit.
 *
 * Invariants: data is either NULL (nothing appended yet) or holds `bytes` bytes
 * followed by a NUL that is not counted, so text in it is a C string. A buffer
 * never grows beyond its limit: the append that would do so fails with
 * -EMSGSIZE and marks the buffer as `overflowed`; what was in it stays. A run
 * of appends may be checked once, at its end, by buf_overflowed().
 */
#ifndef SLUICE_BUF_H
#define SLUICE_BUF_H

#include "base/base.h"
#include <stdbool.h>

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
/* Takes away what is behind the first `bytes`; there must be as many. A failed
 * append stays noted. */
void buf_cut(struct buf *buf, size_t bytes);

/* Each returns 0 or -EMSGSIZE. */
int buf_append(struct buf *buf, const void *data, size_t bytes);
int buf_append_text(struct buf *buf, const char *text);
int buf_append_char(struct buf *buf, char c);
int buf_append_number(struct buf *buf, int64_t number); /* decimal, without printf's cost */
int buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* Appends text percent-encoded: everything but the unreserved characters
 * A-Z a-z 0-9 - . _ ~ (RFC 3986, section 2.3). */
int buf_append_percent_encoded(struct buf *buf, const char *text, size_t bytes);

/* True when any append failed since the last reset. */
bool buf_overflowed(const struct buf *buf);
/* The text so far; "" when nothing was appended. Valid until the next append. */
const char *buf_text(const struct buf *buf);

#endif
