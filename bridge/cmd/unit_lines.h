/* cmd/unit_lines.h - lines of the unit with which systemd does not start the service: what they name is not there.
 *
 * systemd accepts such a line, and `systemctl daemon-reload` reports nothing. The next start fails. Users and
 * groups are in cmd/account.h. */
#ifndef SLUICE_CMD_UNIT_LINES_H
#define SLUICE_CMD_UNIT_LINES_H

#include "cmd/service.h"

/* Adds an error, "FILE:LINE: KEY=WORD: what is wrong; what to do", for each such line of the unit and its
 * drop-ins. It looks at paths that are whole, and have no escapes and no specifiers except the common ones. */
void unit_lines_inspect(const struct service *service, struct config_errors *errors);

#endif
