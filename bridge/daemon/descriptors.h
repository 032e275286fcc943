/* daemon/descriptors.h - each part of sluice has its share of the file descriptors.
 *
 * All parts share the limit of the process (RLIMIT_NOFILE). When HTTP clients have used it up,
 * sluice can connect neither to the broker nor to a backend, and nobody can ask for its status.
 * So a configuration must not allow more connections than there are descriptors for.
 */
#ifndef SLUICE_DAEMON_DESCRIPTORS_H
#define SLUICE_DAEMON_DESCRIPTORS_H

#include "config/config.h"

/* Raises the limit as far as the system allows (its hard limit). */
void descriptors_raise(void);

/* How many descriptors sluice has open with this configuration, at most. */
size_t descriptors_needed(const struct config *config);

/* Whether the system allows as many; otherwise there is an error. */
bool descriptors_suffice(const struct config *config, const char *path, struct config_errors *errors);

/* Returns the configuration, unless it needs more descriptors than the hard limit: then it is freed,
 * and NULL is returned with an error. Takes NULL. */
struct config *descriptors_check(struct config *config, const char *path, struct config_errors *errors);

/* config_file_load(), where a configuration that needs more descriptors than the hard limit
 * is an error. */
struct config *descriptors_load_config(const char *path, struct config_errors *errors);

#endif
