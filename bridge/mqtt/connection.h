/* mqtt/connection.h - connects to the broker, and connects again. */
#ifndef SLUICE_MQTT_CONNECTION_H
#define SLUICE_MQTT_CONNECTION_H

#include "mqtt/internal.h"

/* LINK_DOWN: starts an attempt. */
void mqtt_connect(struct mqtt *mqtt);
/* LINK_DOWN: calls mqtt->try_connect after a while, which grows. why: for the log, or NULL when
 * the log has the reason already. */
void mqtt_retry_later(struct mqtt *mqtt, const char *why);
/* Takes the socket off the loop, and is LINK_DOWN. */
void mqtt_disconnected(struct mqtt *mqtt);
/* The broker, or libmosquitto, closed the connection: the same, and tries again later. */
void mqtt_connection_closed(struct mqtt *mqtt);

/* Callbacks of libmosquitto. */
void mqtt_on_connack(struct mosquitto *client, void *context, int reason, int flags,
                     const mosquitto_property *properties);
void mqtt_on_disconnect(struct mosquitto *client, void *context, int reason,
                        const mosquitto_property *properties);

#endif
