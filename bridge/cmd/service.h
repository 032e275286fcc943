/* cmd/service.h - what the service sees: the files and directories of this machine, as the user of
 * sluice's systemd unit and through the sandbox of this unit.
 *
 * Root reads a key of mode 600 in its home directory. The service does not: it has another user,
 * and its unit hides the home directories. `sluice check` asks here, so that a person learns this
 * before the service fails. */
#ifndef SLUICE_CMD_SERVICE_H
#define SLUICE_CMD_SERVICE_H

#include "cmd/sandbox.h"
#include "config/file.h"

struct service;

/* The service that uses this configuration. NULL: there is no unit, or it uses another one; or the
 * unit has an error, which is added.
 *
 * A process of root takes the user of the unit as its real user, and the user's groups. It stays
 * root effectively. So access(2) returns what the service may do, and the process can still read all.
 * Any other process checks with its own permissions. To be freed by service_free(), which takes NULL. */
struct service *service_find(const char *config_path, struct config_errors *errors);
/* The same, but this process stays what it is. */
struct service *service_read(const char *config_path, struct config_errors *errors);
void service_free(struct service *service);

/* Its user and its group, as numbers, and as "USER:GROUP". */
struct config_reader service_reader(const struct service *service);
char *service_owner(const struct service *service); /* the caller frees it */
/* What systemd knows of it. Valid as long as the service. */
const struct unit *service_unit(const struct service *service);
const struct sandbox *service_sandbox(const struct service *service);
/* The directory that systemd makes for its files, or NULL. */
const char *service_state(const struct service *service);

/* How it sees the files of its configuration. Valid as long as the service. */
struct config_view service_view(struct service *service);

/* Whether systemd makes this directory when the service starts. */
bool service_makes(const struct service *service, const char *directory);

/* Why the service does not start with what is in the place of this directory, which systemd makes, or NULL. */
char *service_made_fault(const char *directory);
/* Each returns NULL, or why the service cannot keep files there, and what to do, which the caller frees.
 * Its unit hides the directory, or its user may not enter one above it. The directory need not be there yet. */
char *service_hidden_fault(const struct service *service, const char *directory);
/* Its unit lets it only read the directory, which need not be there yet. */
char *service_read_only_fault(const struct service *service, const char *directory);
/* Its user may not write to the directory, or the file, if it is there and the user may enter what is above. */
char *service_permission_fault(const struct service *service, const char *path);
/* As the two before it, of a directory that others use too (cmd/place.h): it must not get sluice's user as its
 * owner, nor become writable for the service. key, path: the setting that names a file in it. */
char *service_shared_fault(const struct service *service, const char *key, const char *path,
                           const char *directory);

/* "checked as sluice.service sees it (...)"; the caller frees it. */
char *service_describe(const struct service *service);

#endif
