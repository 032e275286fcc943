/* daemon/recover.h - recovers from a damaged queue, and from files that were deleted or replaced. */
#ifndef SLUICE_DAEMON_RECOVER_H
#define SLUICE_DAEMON_RECOVER_H

#include "daemon/internal.h"

/* Watches the queue, and recovers it, until the handles of daemon->recovery are closed. */
void recover_start(struct daemon *daemon);

#endif
