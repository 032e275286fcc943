/* cmd/sandbox.h - which paths a unit hides from its service, and which it may write.
 *
 * A table of rules made of the unit's keys (systemd.exec(5), "Sandboxing"). For a path the rule with the
 * longest prefix holds. A hidden directory hides all that is below it, also from other rules; only
 * bind mounts are seen in a directory that is replaced by an empty one. */
#ifndef SLUICE_CMD_SANDBOX_H
#define SLUICE_CMD_SANDBOX_H

#include "cmd/unit.h"

#include <stdbool.h>

enum sandbox_access { SANDBOX_HIDDEN, SANDBOX_READ, SANDBOX_WRITE };

struct sandbox_rule {
    char *path; /* of a directory or a file: what is below it, too */
    enum sandbox_access access;
    bool empty;             /* hidden, and an empty directory is in its place */
    bool bound;             /* a bind mount */
    const char *key, *word; /* why: "ProtectHome", "yes" */
};

struct sandbox;

struct sandbox *sandbox_new(const struct unit *unit); /* which must live as long */
void sandbox_free(struct sandbox *sandbox);           /* takes NULL */

/* The rule of this absolute path, or NULL: it is as it is without a sandbox. */
const struct sandbox_rule *sandbox_find(const struct sandbox *sandbox, const char *path);

/* The first directory that systemd makes for the service and that stays, "/var/lib/sluice", or NULL. */
const char *sandbox_state(const struct sandbox *sandbox);
/* Whether systemd makes this directory when the service starts. */
bool sandbox_makes(const struct sandbox *sandbox, const char *directory);

#endif
