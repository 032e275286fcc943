/* request/gzip.h - compresses a request's body (RFC 1952), by zlib. Pure. */
#ifndef SLUICE_GZIP_H
#define SLUICE_GZIP_H

#include "base/base.h"
#include "base/buf.h"

struct gzip;

/* Some 40 KB of memory while it lives: a small window suffices for readings. */
struct gzip *gzip_new(void);
void gzip_free(struct gzip *gzip); /* takes NULL */
/* Replaces what is in out; the same bytes always become the same. What cannot be
 * compressed grows by less than a hundredth and 100 bytes. 0, or -EMSGSIZE when it
 * becomes larger than out's limit; then out is empty. */
int gzip_compress(struct gzip *gzip, const void *data, size_t bytes, struct buf *out);

#endif
