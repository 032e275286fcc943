/* mqtt/receive.h - what becomes of a PUBLISH: it is stored, or it is known already. */
#ifndef SLUICE_MQTT_RECEIVE_H
#define SLUICE_MQTT_RECEIVE_H

#include "mqtt/internal.h"

/* In an open batch. unreadable: why it can be a dead letter only, or NULL. */
void mqtt_receive(struct mqtt *mqtt, const struct mosquitto_message *packet,
                  const mosquitto_property *properties, const char *unreadable);

#endif
