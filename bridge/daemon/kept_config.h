/* daemon/kept_config.h - the last configuration that was in force, kept on the disk.
 *
 * Nobody is at a remote Pi when it starts again, after a power cut months after somebody edited the
 * files. So an error in them must not stop it: then the last configuration that was in force is
 * used. What is kept are the texts of the files, so that secrets in files of their own are not in it.
 * It is in the state directory of systemd ($STATE_DIRECTORY), which does not depend on the
 * configuration, or otherwise beside the queue. Only its owner may read it.
 */
#ifndef SLUICE_DAEMON_KEPT_CONFIG_H
#define SLUICE_DAEMON_KEPT_CONFIG_H

#include "config/config.h"

/* Its path; the caller frees it. state: the directories that
 * systemd makes for the service, as $STATE_DIRECTORY has them (systemd.exec(5)), or NULL. */
char *kept_config_path(const char *queue_path, const char *state);

/* Writes it, if it is not the same as before. Logs a failure. */
void kept_config_save(const struct config *config);

/* Reads the one that was kept of the configuration at path. *ret_kept_ms: when it was written (wall
 * clock). NULL: there is none, or it cannot be used, and then errors has at least one line. */
struct config *kept_config_load(const char *path, struct config_errors *errors, int64_t *ret_kept_ms);

#endif
