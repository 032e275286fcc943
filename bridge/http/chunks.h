/* http/chunks.h - a request body in chunks (RFC 9112, section 7.1). Pure.
 *
 * Extensions of a chunk and the headers after the last chunk are read and dropped. A line may
 * end with LF only.
 */
#ifndef SLUICE_HTTP_CHUNKS_H
#define SLUICE_HTTP_CHUNKS_H

#include "base/base.h"
#include <stdbool.h>

/* All zero at first. */
struct chunks {
    enum { CHUNKS_SIZE, CHUNKS_EXTENSION, CHUNKS_DATA, CHUNKS_AFTER_DATA, CHUNKS_TRAILER, CHUNKS_END } state;
    uint64_t left;       /* bytes of the chunk that did not come yet */
    unsigned digits;     /* of the size */
    unsigned line_bytes; /* of the line that is being read, of all trailer lines together */
    bool after_cr;
    bool line_empty; /* of the trailer */
};

/* Reads on. Returns how many bytes of data were used; *ret_piece and *ret_bytes are the part of
 * the body among them, in data. Call it again until all data is used, or state is CHUNKS_END:
 * what follows then is the next request. -EINVAL: this is not a chunked body; the connection
 * must be closed. */
ssize_t chunks_read(struct chunks *chunks, const char *data, size_t bytes, const char **ret_piece,
                    size_t *ret_bytes);

#endif
