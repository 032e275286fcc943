/* mqtt/silence.h - filters that no message matches, though messages match the others.
 *
 * A filter with a spelling error, or one that the broker's ACL does not allow to read, gets nothing,
 * and nobody says so: Mosquitto grants such a subscription. (See silent_after in
 * sluice.conf(5).) A message that comes once a day must not look so after each restart.
 * Therefore the database remembers, once and for ever, that a filter matched a message.
 *
 * It also counts the retained messages that are not forwarded, for each filter.
 */
#ifndef SLUICE_MQTT_SILENCE_H
#define SLUICE_MQTT_SILENCE_H

#include "mqtt/internal.h"

/* A PUBLISH came. */
void mqtt_silence_received(struct mqtt *mqtt, const char *topic);
/* A retained message came, and no route took it. */
void mqtt_silence_retained(struct mqtt *mqtt, const char *topic, const struct route_copy *copy);
/* Whether the filter should have matched a message by now. */
bool mqtt_is_silent(const struct mqtt *mqtt, size_t filter, int64_t now_ms);

#endif
