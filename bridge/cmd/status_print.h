/* cmd/status_print.h - the status for people. */
#ifndef SLUICE_CMD_STATUS_PRINT_H
#define SLUICE_CMD_STATUS_PRINT_H

#include "cmd/status_facts.h"

/* To standard output. */
void status_print(const struct status_facts *facts);

#endif
