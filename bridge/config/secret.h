/* config/secret.h - reads secrets from their files. */
#ifndef SLUICE_CONFIG_SECRET_H
#define SLUICE_CONFIG_SECRET_H

#include "config/config.h"
#include "config/view.h"
#include <stdbool.h>

struct secret_reader {
    bool looks;                     /* nothing is logged */
    const struct config_view *view; /* whose credentials they are; NULL: of this process */
    struct config_secrets all;      /* what was read so far */
    /* Of an earlier reader of the same texts, or NULL. A secret that cannot be used now stays as it was. */
    const struct config_secrets *before;
};

/* What stands for a credential whose content comes from elsewhere than a file. */
#define SECRET_UNKNOWN "..."

/* What is wrong with the content of a secret, or NULL. Static text. */
const char *secret_fault(const char *secret);

void secrets_done(struct config_secrets *secrets);
bool secrets_equal(const struct config_secrets *one, const struct config_secrets *other);

/* A config_secret_fn; context is a secret_reader. A file that others can read, or a doubtful secret, is
 * logged as a warning. */
int secret_fetch(void *context, const char *name, char **ret_value, char **ret_why);

#endif
