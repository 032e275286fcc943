/* base/base64.h - bytes as text (RFC 4648, section 4). Pure. */
#ifndef SLUICE_BASE64_H
#define SLUICE_BASE64_H

#include "base/buf.h"

/* Returns 0 or -EMSGSIZE; then a part may be appended. */
int base64_append(struct buf *out, const void *data, size_t bytes);

#endif
