/* base/base64.c - bytes as text; see base/base64.h. */
#include "base/base64.h"

int base64_append(struct buf *out, const void *data, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = data;
    int error = 0;
    for (size_t i = 0; i < bytes && error == 0; i += 3) {
        uint32_t group = (uint32_t)in[i] << 16;
        if (i + 1 < bytes)
            group |= (uint32_t)in[i + 1] << 8;
        if (i + 2 < bytes)
            group |= (uint32_t)in[i + 2];
        const char four[4] = {digits[group >> 18], digits[group >> 12 & 63],
                              i + 1 < bytes ? digits[group >> 6 & 63] : '=',
                              i + 2 < bytes ? digits[group & 63] : '='};
        error = buf_append(out, four, sizeof four);
    }
    return error;
}
