/* cmd/locate.h - finds the queue and the socket. */
#ifndef SLUICE_CMD_LOCATE_H
#define SLUICE_CMD_LOCATE_H

#include "config/file.h"

/* The place is that of a running daemon with this configuration file, if there is one, and otherwise
 * the one that the file has. Returns CMD_EXIT_OK, or another exit status after it printed why. A process of root goes on
 * as the owner of the queue, so that the daemon can use every file that it makes. */
int locate_queue(const char *command, const char *config_path, struct config_place *ret);

#endif
