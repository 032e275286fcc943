/* config/validate.h - what can be checked only when every file was read. */
#ifndef SLUICE_CONFIG_VALIDATE_H
#define SLUICE_CONFIG_VALIDATE_H

#include "config/internal.h"

/* Sets the socket where only [queue] says where it is. */
void config_finish_socket(struct config_parser *parser);

#endif
