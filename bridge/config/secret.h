/* config/secret.h - reads secrets from their files. */
#ifndef SLUICE_CONFIG_SECRET_H
#define SLUICE_CONFIG_SECRET_H

#include "base/buf.h"
#include "config/view.h"
#include <stdbool.h>

struct secret_reader {
    bool looks;                     /* nothing is logged */
    const struct config_view *view; /* whose credentials they are; NULL: of this process */
    struct buf all; /* what was read, one after the other, to see later whether any of it changed */
    /* `all` of an earlier reader of the same texts, or NULL. A secret that cannot be used now stays as it
     * was. secret_fetch() moves on in it. */
    const char *before;
};

/* What stands for a credential whose content comes from elsewhere than a file. */
#define SECRET_UNKNOWN "..."

/* What is wrong with the content of a secret, or NULL. Static text. */
const char *secret_fault(const char *secret);

/* A config_secret_fn; context is a secret_reader. A file that others can read, or a doubtful secret, is
 * logged as a warning. */
int secret_fetch(void *context, const char *name, char **ret_value, char **ret_why);

#endif
