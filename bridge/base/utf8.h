/* base/utf8.h - well-formed UTF-8 (RFC 3629), told apart here and nowhere else. */
#ifndef SLUICE_UTF8_H
#define SLUICE_UTF8_H

#include "base/base.h"
#include <stdbool.h>

/* The length of the well-formed sequence that text starts with, 1 to 4, and its
 * code point; 0 where it starts with none: overlong forms, surrogates, what is
 * above U+10FFFF, or one that is cut off after `bytes`. */
size_t utf8_sequence(const void *text, size_t bytes, uint32_t *ret_code);

/* Whether all of text is well-formed. */
bool utf8_valid(const void *text, size_t bytes);

#endif
