/* mqtt/reason.h - why there is no connection to the broker, for people: what is wrong, and what to do. */
#ifndef SLUICE_MQTT_REASON_H
#define SLUICE_MQTT_REASON_H

#include "mqtt/internal.h"

/* Before each attempt to connect: what OpenSSL reports from now on is kept, also from the worker
 * thread. (mqtt_redelivery_connected ends that.) */
void reason_listen(struct mqtt *mqtt);
/* Why the attempt failed; why the connection was closed or refused. Freed by the caller. */
char *reason_of_connect(const struct mqtt *mqtt);
char *reason_of_close(const struct mqtt *mqtt);
/* The broker refused a subscription with this code (MQTT 5.0 and 3.1.1, section 3.9.3). */
const char *reason_of_suback(int code);

#endif
