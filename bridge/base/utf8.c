/* base/utf8.c - well-formed UTF-8; see base/utf8.h. */
#include "base/utf8.h"

size_t utf8_sequence(const void *text, size_t bytes, uint32_t *ret_code)
{
    const unsigned char *at = text;
    if (bytes == 0)
        return 0;
    if (at[0] < 0x80) {
        *ret_code = at[0];
        return 1;
    }

    size_t length;
    uint32_t code, least; /* the lowest code that needs this length */
    if ((at[0] & 0xe0) == 0xc0) {
        length = 2, least = 0x80, code = at[0] & 0x1fu;
    } else if ((at[0] & 0xf0) == 0xe0) {
        length = 3, least = 0x800, code = at[0] & 0x0fu;
    } else if ((at[0] & 0xf8) == 0xf0) {
        length = 4, least = 0x10000, code = at[0] & 0x07u;
    } else {
        return 0;
    }
    if (length > bytes)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3fu);
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return length;
}

bool utf8_valid(const void *text, size_t bytes)
{
    const unsigned char *at = text;
    while (bytes > 0) {
        uint32_t code;
        size_t length = utf8_sequence(at, bytes, &code);
        if (length == 0)
            return false;
        at += length;
        bytes -= length;
    }
    return true;
}
