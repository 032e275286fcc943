/* mqtt/pause.h - no connection while the queue takes nothing: it is full, or its storage
 * fails. */
#ifndef SLUICE_MQTT_PAUSE_H
#define SLUICE_MQTT_PAUSE_H

#include "mqtt/internal.h"

/* LINK_DOWN: connects when the queue takes messages; otherwise looks again later. */
void mqtt_try_connect(struct mqtt *mqtt);
/* Whether the queue is full, and the connection must end. */
bool mqtt_must_pause(const struct mqtt *mqtt);
/* Ends it in order. All acknowledgements must be written. */
void mqtt_pause(struct mqtt *mqtt);
/* A commit failed: ends the connection without another byte, because the acknowledgements of
 * that commit are queued. */
void mqtt_storage_failed(struct mqtt *mqtt, int error);

#endif
