/* config/exposed.h - files with secrets that every user of the machine can read. */
#ifndef SLUICE_CONFIG_EXPOSED_H
#define SLUICE_CONFIG_EXPOSED_H

#include "config/view.h"

/* This process. */
struct config_reader exposed_reader(void);

/* If it is such a file, logs a warning with the command that corrects this. The process that reads the
 * file can still do so then. */
void exposed_warn(const char *path, struct config_reader reader);

#endif
