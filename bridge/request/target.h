/* request/target.h - the target of an HTTP request. Pure.
 *
 * It becomes part of a URL below the backend's: so it is checked here, on the bytes as they
 * came.
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

#endif
