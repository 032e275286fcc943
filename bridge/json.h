/* json.h - JSON texts as RFC 8259 spells them. Pure. */
#ifndef SLUICE_JSON_H
#define SLUICE_JSON_H

#include "base.h"
#include "buf.h"

/* The end of the number at `at` (section 6), or NULL where it is spelt in another
 * way. What stands behind it is not looked at. */
const char *json_number_end(const char *at, const char *end);

/* Appends text as it stands between the quotes of a string (section 7): UTF-8 as
 * it is, U+FFFD for what is none. 0 or -EMSGSIZE; then a part may be there. */
int json_append_escaped(struct buf *out, const char *text, size_t bytes);

#endif
