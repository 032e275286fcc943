/* body.h - what a payload is. Pure; cJSON validates. */
#ifndef SLUICE_BODY_H
#define SLUICE_BODY_H

#include "base.h"
#include <stdbool.h>

/* "application/json" where the whole payload is one JSON text in valid UTF-8
 * (RFC 8259), otherwise "text/plain; charset=utf-8" where it is valid UTF-8
 * without control characters other than tab, LF and CR (an empty payload is),
 * otherwise "application/octet-stream". Static text. */
const char *body_content_type(const void *payload, size_t bytes);

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF). */
bool body_is_utf8(const void *payload, size_t bytes);

#endif
