/* cmd/account.h - the user and the groups of a unit's service (systemd.exec(5), "User/Group Identity"). */
#ifndef SLUICE_CMD_ACCOUNT_H
#define SLUICE_CMD_ACCOUNT_H

#include "cmd/unit.h"
#include "config/file.h"

#include <sys/types.h>

enum { ACCOUNT_GROUPS_MOST = 256 };

struct account {
    char *user, *group; /* names */
    uid_t uid;
    gid_t gid;
    gid_t groups[ACCOUNT_GROUPS_MOST]; /* all of them */
    size_t group_count;
};

/* Returns false if a user or a group is not there, and adds an error for each, unless systemd makes the user when
 * the service starts. account_done() takes it in each case. */
bool account_find(const struct unit *unit, struct account *ret, struct config_errors *errors);
void account_done(struct account *account);

/* The process gets this real user and its groups. If the system forbids it, the permissions stay those of root. */
void account_take(const struct account *account);

#endif
