/* daemon/daemon.h - `sluice run`. */
#ifndef SLUICE_DAEMON_H
#define SLUICE_DAEMON_H

#include "config/config.h"

/* Runs until SIGTERM or SIGINT. Reads config_path again on SIGHUP. Takes over config; kept_ms: when
 * it was kept (daemon/kept_config.h), or 0. Returns
 * an exit status: 0 stopped on request, 1 it could not start (logged). It ends the process
 * itself if a worker thread hangs. */
int daemon_run(const char *config_path, struct config *config, int64_t kept_ms);

#endif
