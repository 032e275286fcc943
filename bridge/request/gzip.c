/* request/gzip.c - compresses a request's body; see request/gzip.h.
 *
 * It runs on the loop, perhaps on one slow core: level 1. Readings repeat the same few
 * names, so a small window and small tables lose little: 500 readings of 62 bytes, 31.0 KB,
 * become 4.1 KB here and 3.6 KB with 256 KB of memory. Memory is allocated once, and only
 * reset between two bodies.
 */
#include "request/gzip.h"

#include <assert.h>
#include <errno.h>
#define ZLIB_CONST /* what is compressed is only read */
#include <zlib.h>

#define LEVEL        1
#define WINDOW_BITS  12 /* 4 KB to look back; takes 16 KB */
#define GZIP         16 /* added to them: a header and trailer of gzip */
#define MEMORY_LEVEL 5  /* takes 16 KB */
#define PIECE_BYTES  4096u
#define INPUT_BYTES  ((size_t)1 << 30) /* zlib counts with an unsigned int */

struct gzip {
    z_stream stream;
};

static void *allocate(void *opaque, unsigned count, unsigned bytes)
{
    (void)opaque;
    return xcalloc(count, bytes);
}

static void release(void *opaque, void *memory)
{
    (void)opaque;
    free(memory);
}

struct gzip *gzip_new(void)
{
    struct gzip *gzip = xcalloc(1, sizeof(*gzip));
    gzip->stream = (z_stream){.zalloc = allocate, .zfree = release};
    int r =
        deflateInit2(&gzip->stream, LEVEL, Z_DEFLATED, WINDOW_BITS + GZIP, MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    assert(r == Z_OK);
    return gzip;
}

void gzip_free(struct gzip *gzip)
{
    if (!gzip)
        return;
    deflateEnd(&gzip->stream);
    free(gzip);
}

/* Takes all of the stream's input, and to its end where `flush` is Z_FINISH. */
static int deflate_all(z_stream *stream, int flush, struct buf *out)
{
    unsigned char piece[PIECE_BYTES];
    do {
        stream->next_out = piece;
        stream->avail_out = sizeof(piece);
        int r = deflate(stream, flush);
        assert(r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR); /* the last: nothing was left to do */
        if (buf_append(out, piece, sizeof(piece) - stream->avail_out) < 0)
            return -EMSGSIZE;
    } while (stream->avail_out == 0);
    return 0;
}

int gzip_compress(struct gzip *gzip, const void *data, size_t bytes, struct buf *out)
{
    z_stream *stream = &gzip->stream;
    const unsigned char *at = data;
    int r;
    buf_reset(out);
    deflateReset(stream);
    do {
        size_t part = bytes < INPUT_BYTES ? bytes : INPUT_BYTES;
        stream->next_in = at;
        stream->avail_in = (unsigned)part;
        at += part;
        bytes -= part;
        r = deflate_all(stream, bytes > 0 ? Z_NO_FLUSH : Z_FINISH, out);
    } while (bytes > 0 && r == 0);
    if (r < 0)
        buf_reset(out);
    return r;
}
