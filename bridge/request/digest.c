/* request/digest.c - a short name for much text; see request/digest.h.
 *
 * The algorithm is fetched once: OpenSSL 3 would look it up again at every start
 * otherwise, which takes longer than a batch's keys. That SHA-256 is missing, or
 * fails on memory, is no state to go on in.
 */
#include "request/digest.h"

#include <openssl/evp.h>
#include <stdio.h>

struct digest {
    EVP_MD *algorithm;
    EVP_MD_CTX *context;
};

static void must(int ok)
{
    if (ok)
        return;
    fputs("sluice: SHA-256 by OpenSSL fails\n", stderr);
    abort();
}

struct digest *digest_new(void)
{
    struct digest *digest = xcalloc(1, sizeof(*digest));
    digest->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    digest->context = EVP_MD_CTX_new();
    must(digest->algorithm && digest->context);
    digest_start(digest);
    return digest;
}

void digest_free(struct digest *digest)
{
    if (!digest)
        return;
    EVP_MD_CTX_free(digest->context);
    EVP_MD_free(digest->algorithm);
    free(digest);
}

void digest_start(struct digest *digest)
{
    must(EVP_DigestInit_ex(digest->context, digest->algorithm, NULL));
}

void digest_add(struct digest *digest, const void *data, size_t bytes)
{
    must(EVP_DigestUpdate(digest->context, data, bytes));
}

void digest_end(struct digest *digest, char text[static DIGEST_TEXT_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char sum[EVP_MAX_MD_SIZE];
    must(EVP_DigestFinal_ex(digest->context, sum, NULL));
    for (size_t i = 0; i < (DIGEST_TEXT_BYTES - 1) / 2; i++) {
        text[2 * i] = hex[sum[i] >> 4];
        text[2 * i + 1] = hex[sum[i] & 15];
    }
    text[DIGEST_TEXT_BYTES - 1] = '\0';
}
