/* http/head.h - the head of an HTTP/1 request: where it ends, and what it says (RFC 9112). Pure.
 *
 * The length of the body decides where the next request begins. So a head that two readers
 * could understand differently is refused: two lengths, a length beside a transfer encoding, a
 * header that goes on in a second line, a blank before a colon. What simple devices send is
 * accepted: lines that end with LF only, HTTP/1.0, and no Host.
 */
#ifndef SLUICE_HTTP_HEAD_H
#define SLUICE_HTTP_HEAD_H

#include "base/base.h"
#include <stdbool.h>

enum {
    HEAD_BYTES = 16 * 1024, /* the longest head */
    HEAD_FIELDS = 100,      /* the most header lines */
};

struct head_field {
    const char *name, *value; /* the value without the blanks around it */
};

struct head {
    const char *method;
    const char *target; /* raw, as the client sent it; see request/target.h */
    bool keep_alive;    /* the client may send another request on this connection */
    bool takes_body;    /* POST, PUT or PATCH */
    bool expects;       /* the client waits for 100 Continue before it sends the body */
    bool chunked;       /* the body is in chunks (http/chunks.h); otherwise it has `length` bytes */
    uint64_t length;
    size_t field_count;
    struct head_field fields[HEAD_FIELDS];
};

/* How many bytes the head at the start of data has, with the empty line that ends it. 0: its
 * end is not there yet. -EINVAL: this is no HTTP. Empty lines before a head are not part of
 * it (RFC 9112, section 2.2): see head_skip. */
ssize_t head_find_end(const char *data, size_t bytes);
/* How many bytes of empty lines are at the start of data. */
size_t head_skip(const char *data, size_t bytes);

/* Reads a whole head, which a NUL follows. It changes text, and *ret points into it. Returns 0, or
 * the status of the refusal, after which the connection must be closed: 400, 411, 431 or 505.
 * *ret_why is then the reason (static text); of a refused head only the fields that were read
 * before are set, and method and target are never NULL. */
int head_read(struct head *ret, char *text, const char **ret_why);

/* The value of the first header of this name (any case), or NULL. */
const char *head_value(const struct head *head, const char *name);

#endif
