/* cmd/credential.h - the credentials that a unit gives to its service (systemd.exec(5), "Credentials"). */
#ifndef SLUICE_CMD_CREDENTIAL_H
#define SLUICE_CMD_CREDENTIAL_H

#include "cmd/unit.h"

/* Returns 0, or -ENOENT: the unit gives none of this name. *ret_path: the file with its content, which the caller
 * frees, or NULL: its content comes from elsewhere, or is encrypted. */
int credential_find(const struct unit *unit, const char *name, char **ret_path);

#endif
