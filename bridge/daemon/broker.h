/* daemon/broker.h - the connection to the broker, if sluice needs one. */
#ifndef SLUICE_DAEMON_BROKER_H
#define SLUICE_DAEMON_BROKER_H

#include "daemon/internal.h"

/* Makes daemon->mqtt, unless there is nothing to subscribe to. */
void broker_start(struct daemon *daemon);

#endif
