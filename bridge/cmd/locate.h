/* cmd/locate.h - finds the queue and the socket by the configuration. */
#ifndef SLUICE_CMD_LOCATE_H
#define SLUICE_CMD_LOCATE_H

#include "config/file.h"

/* Returns CMD_EXIT_OK, or another exit status after it printed why. A process of root goes on
 * as the owner of the queue, so that the daemon can use every file that it makes. */
int locate_queue(const char *command, const char *config_path, struct config_place *ret);

#endif
