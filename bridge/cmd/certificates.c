/* cmd/certificates.c - see cmd/certificates.h. */
#include "cmd/certificates.h"
#include "base/base.h"
#include "text/shell.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>

enum content { CONTENT_CERTIFICATE, CONTENT_KEY, CONTENT_LOCKED_KEY, CONTENT_DER, CONTENT_UNKNOWN };

/* OpenSSL would ask for the passphrase of a key at the terminal. */
static int no_passphrase(char *text, int bytes, int writing, void *asked)
{
    (void)text;
    (void)bytes;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static X509 *read_certificate(const char *path)
{
    BIO *file = BIO_new_file(path, "r");
    X509 *certificate = file ? PEM_read_bio_X509_AUX(file, NULL, NULL, NULL) : NULL;
    BIO_free(file);
    return certificate;
}

static EVP_PKEY *read_key(const char *path, bool *ret_locked)
{
    BIO *file = BIO_new_file(path, "r");
    EVP_PKEY *key = file ? PEM_read_bio_PrivateKey(file, NULL, no_passphrase, ret_locked) : NULL;
    BIO_free(file);
    return key;
}

static bool is_der(const char *path)
{
    BIO *file = BIO_new_file(path, "r");
    X509 *certificate = file ? d2i_X509_bio(file, NULL) : NULL;
    EVP_PKEY *key = NULL;
    if (file && !certificate && BIO_reset(file) == 0)
        key = d2i_PrivateKey_bio(file, NULL);
    BIO_free(file);
    bool der = certificate || key;
    X509_free(certificate);
    EVP_PKEY_free(key);
    return der;
}

static enum content content_of(const char *path)
{
    bool locked = false;
    X509 *certificate = read_certificate(path);
    EVP_PKEY *key = read_key(path, &locked);
    enum content content = certificate    ? CONTENT_CERTIFICATE
                           : locked       ? CONTENT_LOCKED_KEY
                           : key          ? CONTENT_KEY
                           : is_der(path) ? CONTENT_DER
                                          : CONTENT_UNKNOWN;
    X509_free(certificate);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return content;
}

char *certificates_fault(const char *path)
{
    cleanup_free char *word = shell_word(path);
    switch (content_of(path)) {
    case CONTENT_CERTIFICATE:
        return NULL;
    case CONTENT_KEY:
    case CONTENT_LOCKED_KEY:
        return xstrdup("this is a private key; name the file of the certificate");
    case CONTENT_DER:
        return xasprintf("it is in DER, and must be in PEM; convert it: openssl x509 -inform der -in %s -out "
                         "%s.pem",
                         word, word);
    default:
        return xstrdup("there is no certificate in it; it must be in PEM, and have a line -----BEGIN "
                       "CERTIFICATE-----");
    }
}

char *certificates_key_fault(const char *path)
{
    bool locked = false;
    EVP_PKEY *key = read_key(path, &locked);
    EVP_PKEY_free(key);
    ERR_clear_error();
    if (key)
        return NULL;
    cleanup_free char *word = shell_word(path);
    if (locked)
        return xasprintf(
            "the key needs a passphrase, and nobody is there to type it; remove it: openssl pkey "
            "-in %s -out NEW-FILE",
            word);
    switch (content_of(path)) {
    case CONTENT_CERTIFICATE:
        return xstrdup("this is a certificate; name the file of its private key");
    case CONTENT_DER:
        return xasprintf("it is in DER, and must be in PEM; convert it: openssl pkey -inform der -in %s -out "
                         "NEW-FILE",
                         word);
    default:
        return xstrdup("there is no private key in it; it must be in PEM, and have a line -----BEGIN "
                       "PRIVATE KEY-----");
    }
}

char *certificates_pair_fault(const char *certificate_path, const char *key_path)
{
    bool locked = false;
    X509 *certificate = read_certificate(certificate_path);
    EVP_PKEY *key = read_key(key_path, &locked);
    bool fits = certificate && key && X509_check_private_key(certificate, key) == 1;
    X509_free(certificate);
    EVP_PKEY_free(key);
    ERR_clear_error();
    if (fits)
        return NULL;
    return xasprintf("it is not the key of the certificate in %s; name the two files that belong together",
                     certificate_path);
}
