/* base/utf8.h - well-formed UTF-8 (RFC 3629). */
#ifndef SLUICE_UTF8_H
#define SLUICE_UTF8_H

#include "base/base.h"
#include <stdbool.h>

/* The length (1 to 4) and the code point of the well-formed sequence at the start of text.
 * Returns 0 when there is none: overlong forms, surrogates, codes above U+10FFFF, and
 * sequences that do not end within `bytes`. */
size_t utf8_sequence(const void *text, size_t bytes, uint32_t *ret_code);

/* Whether all of text is well-formed. */
bool utf8_valid(const void *text, size_t bytes);

#endif
