/* request/target.h - the target of an HTTP request, and where the request ends. Pure.
 *
 * libmicrohttpd accepts more than it should (http/request.c). The target becomes part of a URL
 * below the backend's, and the length of the body decides where the next request begins: so
 * both are checked here, on the bytes as they came.
 */
#ifndef SLUICE_TARGET_H
#define SLUICE_TARGET_H

#include "base/base.h"
#include "base/buf.h"
#include "config/config.h"
#include <stdbool.h>

/* Only this path, and paths below it, are passed on. */
#define TARGET_BASE "/api"

enum target_verdict {
    TARGET_FINE,
    TARGET_ELSEWHERE, /* well-formed, and not below the base */
    TARGET_BAD,
};

/* Checks the target of a request line (RFC 9112, section 3.2), raw: path and query. Only
 * origin-form is fine: printable ASCII without '#' and '\', and a path without "//", without the
 * segments "." and "..", and without escapes that hide '.', '/', '\' or a NUL. For
 * TARGET_BAD, *ret_why is the reason (static text). */
enum target_verdict target_check(const char *target, size_t bytes, const char **ret_why);

/* Appends a target that is fine to the URL of a backend: the part below the base, and the query
 * as it is. */
void target_append(struct buf *url, const char *target);
/* Appends parameters to the query of the URL, except those whose names it has already: a
 * client's own key is not replaced. */
void target_append_query(struct buf *url, const struct config_pair *pairs, size_t count);

/* ---- where a request ends ---- */

/* All zero at first; then framing_header is called for each header line. */
struct framing {
    bool malformed; /* a name that is no token, for example with a blank before the colon; or the
                     * caller found that a header goes on in a second line */
    unsigned lengths, encodings;
    bool length_valid;
    uint64_t length; /* Content-Length */
    bool chunked;    /* Transfer-Encoding is exactly that */
};
void framing_header(struct framing *framing, const char *name, size_t name_bytes, const char *value,
                    size_t value_bytes);

/* 0 when it is certain where the request ends; otherwise the status: 400, and the connection
 * must be closed; or 411, a body is expected and no length was given. version: "HTTP/1.0" or
 * later. *ret_why is static text. */
int framing_check(const struct framing *framing, const char *version, bool wants_body, const char **ret_why);

#endif
