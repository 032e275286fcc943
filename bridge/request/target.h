/* request/target.h - what a request asks for, and whether it says where it ends. Pure.
 *
 * The HTTP server's library takes what it should not (see http/server.c). Whatever a
 * request asks for ends up in a URL below the backend's, and how long its body is
 * decides where the next request begins: so both are checked here, on the bytes as
 * they came.
 */
#ifndef SLUICE_TARGET_H
#define SLUICE_TARGET_H

#include "base/base.h"
#include "base/buf.h"
#include "config/config.h"
#include <stdbool.h>

/* Only what is there, or below it, is passed on. */
#define TARGET_BASE "/api"

enum target_verdict {
    TARGET_FINE,
    TARGET_ELSEWHERE, /* well-formed, and not below the base */
    TARGET_BAD,
};

/* The target of a request line (RFC 9112, section 3.2), raw: path and query. Only
 * origin-form is fine, of printable ASCII without '#' and '\', and a path without "//",
 * segments "." and "..", and without escapes that hide '.', '/', '\' or a NUL. Where it
 * is bad, *ret_why says why (static text). */
enum target_verdict target_check(const char *target, size_t bytes, const char **ret_why);

/* Makes a URL of a backend's and of a target that is fine: what is below the base
 * comes behind the backend's path, and the query stays as it is. */
void target_append(struct buf *url, const char *target);
/* Appends parameters to the URL's query, other than those whose names it has already:
 * a client that sends a key of its own means it. */
void target_append_query(struct buf *url, const struct config_pair *pairs, size_t count);

/* ---- where a request ends ---- */

/* To be zero at first, and told of each header line. */
struct framing {
    bool malformed; /* a name that is no token, in particular one with a blank before the colon;
                     * or the caller saw that it goes on in a second line */
    unsigned lengths, encodings;
    bool length_valid;
    uint64_t length; /* Content-Length */
    bool chunked;    /* Transfer-Encoding is exactly that */
};
void framing_header(struct framing *framing, const char *name, size_t name_bytes, const char *value,
                    size_t value_bytes);

/* Whether it is certain where the request ends: 0; 400, and the connection must be
 * closed; or 411: a body is expected, and no length was given. version: "HTTP/1.0" or
 * later. *ret_why is static text. */
int framing_check(const struct framing *framing, const char *version, bool wants_body, const char **ret_why);

#endif
