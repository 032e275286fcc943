/* message/path.h - the path of a request, made from topic levels. Pure.
 *
 * A template such as "/collections/{2}" is text with references to topic
 * levels, counted from 1. Expansion percent-encodes every level as one path
 * segment's part (only the unreserved characters of RFC 3986 stay), and refuses
 * a level that is missing, empty, "." or "..": together with the checks on the
 * literal text no topic can make a request leave the backend's base URL.
 */
#ifndef SLUICE_PATH_H
#define SLUICE_PATH_H

#include "base/base.h"
#include "base/buf.h"

struct path_template;

/* Parses a template. It must be empty or start with '/', and its literal text
 * must consist of characters that RFC 3986 section 3.3 allows in a path (valid
 * percent-escapes included, but not %2e %2f %5c %00), without "//", without
 * segments "." or "..", without '?' and '#'. References are {N} with N from 1
 * to 99. A segment that is made of references and dots only, such as "{1}." or
 * ".{2}", is refused: its expansion could become a dot segment.
 * On success *ret is owned by the caller (path_template_free). Otherwise
 * -EINVAL, and *ret_why says what is wrong and what would be right; the caller
 * frees it. */
int path_template_parse(const char *text, struct path_template **ret, char **ret_why);
void path_template_free(struct path_template *path); /* takes NULL */

/* The highest level that it refers to, 0 when it refers to none. */
unsigned path_template_highest_level(const struct path_template *path);

/* Appends the expansion for this topic. Returns 0; -EINVAL when the topic's
 * levels cannot be used, with the reason in *ret_why, for example
 * "topic level 2 is empty" (the caller frees it); -EMSGSIZE when out is full.
 * On failure out's content is undefined beyond its former end. */
int path_template_expand(const struct path_template *path, const char *topic, struct buf *out,
                         char **ret_why);

#endif
