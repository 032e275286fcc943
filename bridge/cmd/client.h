/* cmd/client.h - asks a running sluice at its socket (control/control.h). */
#ifndef SLUICE_CMD_CLIENT_H
#define SLUICE_CMD_CLIENT_H

#include "config/file.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct cJSON;

/* Whether this user may be sluice's, whose queue and socket are in this place: root, the user of this process,
 * or the owner of the queue or of its directory. If that is not there, the owner of the directory of the
 * socket. */
bool client_trusts(const struct config_place *place, uid_t user);

/* A socket that is connected to a trusted process, or -Exxx: -ENOENT and -ECONNREFUSED: no sluice listens
 * there; -EACCES: this user may not connect; -EPERM: a user who is not trusted listens there, and gets
 * nothing. Whoever may write to the directory can put another socket in its place at any time, so each
 * connection is looked at. */
int client_connect(const struct config_place *place);

/* STATUS_DAEMON (text/status_fields.h), which the caller frees. 0; -Exxx as above,
 * -ETIMEDOUT, -EBADMSG. */
int client_status(const struct config_place *place, struct cJSON **ret);

/* Notes that a person lists the dead letters. 0 or -Exxx. */
int client_seen(const struct config_place *place);

/* Makes sluice look into the queue now, not at the end of the second. Errors do not matter. */
void client_look(const struct config_place *place);

/* Makes sluice read its configuration again, and waits until it is in force or refused. *ret_lines:
 * the errors, or a note, each with a newline; the caller frees it. 0 or -Exxx. */
int client_reload(const struct config_place *place, bool *ret_refused, char **ret_lines);

/* The kernel lists the sockets at which somebody listens, under the names that they got: a file of that
 * name may be gone. Returns false at the end, or if sockets is NULL. */
#define CLIENT_LISTENERS "/proc/net/unix"
enum { CLIENT_NAME_BYTES = 120 };
bool client_next_listener(FILE *sockets, char ret_name[CLIENT_NAME_BYTES]);
/* Whether this name is in the list. */
bool client_listens(const char *path);

/* What an error of these functions means for a sluice that runs as this process (0: unknown); the
 * caller frees it. */
char *client_why(int error, const char *path, pid_t pid);

#endif
