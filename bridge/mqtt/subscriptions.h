/* mqtt/subscriptions.h - the topic filters that the broker has for us. */
#ifndef SLUICE_MQTT_SUBSCRIPTIONS_H
#define SLUICE_MQTT_SUBSCRIPTIONS_H

#include "mqtt/internal.h"

/* Does what is due. No batch must be open. 0, -EBUSY: the database is locked, -Exxx. */
int mqtt_update_subscriptions(struct mqtt *mqtt);
void mqtt_subscriptions_done(struct mqtt *mqtt);

/* Whether the broker had retained a message before we subscribed. It sends such messages after a
 * SUBSCRIBE, with RETAIN=1, and live ones with RETAIN=0, because we do not ask for "retain as
 * published" (MQTT 5.0, section 3.3.1.3). Some brokers and bridges send live messages with RETAIN=1
 * too: a message that comes when all of the former must have come is one of these. */
bool mqtt_was_retained(const struct mqtt *mqtt, const struct mosquitto_message *packet);
/* Whether the broker sends a retained message with this topic only because we subscribed again
 * (MQTT 3.1.1). */
bool mqtt_came_before(const struct mqtt *mqtt, const char *topic);
/* Whether a filter of the configuration, or one that it had before, has this identifier. */
bool mqtt_subscription_is_known(const struct mqtt *mqtt, uint32_t identifier);

/* Whether a topic matches a filter of the configuration, or one that it had before. */
bool mqtt_topic_is_known(const struct mqtt *mqtt, const char *topic);

enum { MOST_IDENTIFIERS = 32 }; /* on one message */
/* For which filters the broker sent a message. filters: the memory for it. */
void mqtt_read_copy(const struct mqtt *mqtt, const mosquitto_property *properties, bool retained,
                    struct route_copy *copy, size_t filters[static MOST_IDENTIFIERS]);

/* Callbacks of libmosquitto. */
void mqtt_on_suback(struct mosquitto *client, void *context, int packet_id, int count, const int *granted,
                    const mosquitto_property *properties);
void mqtt_on_unsuback(struct mosquitto *client, void *context, int packet_id,
                      const mosquitto_property *properties);

#endif
