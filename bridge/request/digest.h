/* request/digest.h - a short name for much text: SHA-256 by OpenSSL (FIPS 180-4). */
#ifndef SLUICE_DIGEST_H
#define SLUICE_DIGEST_H

#include "base/base.h"

struct digest;

struct digest *digest_new(void);          /* started */
void digest_free(struct digest *digest);  /* takes NULL */
void digest_start(struct digest *digest); /* forgets what was added */
/* Where one piece ends and the next begins is not part of the name. */
void digest_add(struct digest *digest, const void *data, size_t bytes);
/* The first 128 bits as 32 hexadecimal digits; digest_start comes next. */
#define DIGEST_TEXT_BYTES 33
void digest_end(struct digest *digest, char text[static DIGEST_TEXT_BYTES]);

#endif
