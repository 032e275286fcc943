/* mqtt/socket.h - the socket of the connection on the loop, and the only place that writes. */
#ifndef SLUICE_MQTT_SOCKET_H
#define SLUICE_MQTT_SOCKET_H

#include "mqtt/internal.h"

/* Puts the new socket of libmosquitto on the loop. False: there are no descriptors left. */
bool mqtt_open_socket(struct mqtt *mqtt);
/* Takes it off the loop. */
void mqtt_unwatch(struct mqtt *mqtt);
/* Waits for what is to be done next: mqtt->work is called. */
void mqtt_watch(struct mqtt *mqtt);
/* Writes all queued packets, as far as the socket takes them; true when none is left. Never
 * while a batch is open: it would write the acknowledgements of messages that are not
 * committed. */
bool mqtt_flush(struct mqtt *mqtt);

#endif
