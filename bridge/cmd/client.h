/* cmd/client.h - asks a running sluice at its socket (control/control.h). */
#ifndef SLUICE_CMD_CLIENT_H
#define SLUICE_CMD_CLIENT_H

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

#endif
