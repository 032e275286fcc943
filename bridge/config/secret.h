/* config/secret.h - reads secrets from their files. */
#ifndef SLUICE_CONFIG_SECRET_H
#define SLUICE_CONFIG_SECRET_H

#include "base/buf.h"
#include <stdbool.h>

struct secret_reader {
    bool looks;     /* nothing is logged */
    struct buf all; /* what was read, one after the other, to see later whether any of it changed */
};

/* A config_secret_fn; context is a secret_reader. A file that others can read, or a doubtful secret, is
 * logged as a warning. */
int secret_fetch(void *context, const char *name, char **ret_value, char **ret_why);

#endif
