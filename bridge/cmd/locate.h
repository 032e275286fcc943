/* cmd/locate.h - finds the queue and the socket by the configuration. */
#ifndef SLUICE_CMD_PLACE_H
#define SLUICE_CMD_PLACE_H

#include "config/file.h"

/* CMD_EXIT_OK, or CMD_EXIT_CONFIG once it said why not. For root, the command goes
 * on as the queue's owner: then no file that it makes is in the daemon's way. */
int cmd_place_find(const char *command, const char *config_path, struct config_place *ret);

#define cleanup_place __attribute__((cleanup(config_place_done)))

#endif
