/* daemon/daemon.h - the whole: builds the parts, wires them, shuts them down in order. */
#ifndef SLUICE_DAEMON_H
#define SLUICE_DAEMON_H

#include "config/config.h"

/* Runs until SIGTERM or SIGINT. config_path is read again on SIGHUP. Takes over
 * the configuration. Returns an exit status: 0 stopped on request, 1 it could
 * not start (logged). It may end the process itself when something hangs that
 * cannot be waited for. */
int daemon_run(const char *config_path, struct config *config);

#endif
