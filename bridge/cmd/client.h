/* cmd/client.h - asks a running sluice, at its socket (control/control.h). */
#ifndef SLUICE_CMD_CONTROL_H
#define SLUICE_CMD_CONTROL_H

#include "text/report.h"

/* A connected socket, or -Exxx: -ENOENT and -ECONNREFUSED: nobody is there, -EACCES:
 * it may not be asked by us. */
int cmd_control_connect(const char *path);

/* What it says of itself. 0; -Exxx as above, -ETIMEDOUT, -EBADMSG. */
int cmd_control_status(const char *path, struct report **ret);

/* Has it look into the queue now; whether it hears it does not matter. */
void cmd_control_poke(const char *path);

#endif
