/* cmd/certificates.h - what is wrong with a file that should have certificates or a key. The files
 * are PEM (RFC 7468), as libcurl and libmosquitto read them.
 *
 * Each function returns NULL when nothing is wrong. Otherwise it returns what is wrong and what to
 * do, which the caller frees. */
#ifndef SLUICE_CMD_CERTIFICATES_H
#define SLUICE_CMD_CERTIFICATES_H

/* At least one certificate. */
char *certificates_fault(const char *path);
/* A private key without a passphrase. */
char *certificates_key_fault(const char *path);
/* Whether the first certificate of one file belongs to the key of the other. Both are sound. */
char *certificates_pair_fault(const char *certificate_path, const char *key_path);

#endif
