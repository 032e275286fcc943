/* daemon/reload.h - puts a new configuration in force. */
#ifndef SLUICE_DAEMON_RELOAD_H
#define SLUICE_DAEMON_RELOAD_H

#include "daemon/internal.h"

/* Reads the files. Without errors, the configuration is in force when no request is in flight, or
 * after RELOAD_MOST_MS. The log, systemd and the control socket get the outcome. */
void reload_config(struct daemon *daemon);

/* Puts secrets in force whose files have changed since they were read. The configuration stays the
 * same otherwise, whatever its own files have now. */
void reload_secrets(struct daemon *daemon);

#endif
