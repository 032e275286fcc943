/* cmd/client.h - asks a running sluice at its socket (control/control.h). */
#ifndef SLUICE_CMD_CLIENT_H
#define SLUICE_CMD_CLIENT_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct cJSON;

/* A connected socket, or -Exxx: -ENOENT and -ECONNREFUSED: no sluice listens there;
 * -EACCES: this user may not connect. */
int client_connect(const char *path);

/* STATUS_DAEMON (text/status_fields.h), which the caller frees. 0; -Exxx as above,
 * -ETIMEDOUT, -EBADMSG. */
int client_status(const char *path, struct cJSON **ret);

/* Notes that a person lists the dead letters. 0 or -Exxx. */
int client_seen(const char *path);

/* Makes sluice look into the queue now, not at the end of the second. Errors do not matter. */
void client_look(const char *path);

/* Makes sluice read its configuration again, and waits until it is in force or refused. *ret_lines:
 * the errors, or a note, each with a newline; the caller frees it. 0 or -Exxx. */
int client_reload(const char *path, bool *ret_refused, char **ret_lines);

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
