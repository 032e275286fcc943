/* mqtt/receive.c - see mqtt/receive.h. */
#include "mqtt/receive.h"
#include "mqtt/copies.h"
#include "mqtt/leftover.h"
#include "mqtt/redelivery.h"
#include "mqtt/silence.h"
#include "mqtt/subscriptions.h"
#include "queue/confirm.h"

/* It has no row. */
static void keep_fingerprint(struct mqtt *mqtt, const struct mosquitto_message *packet)
{
    if (packet->qos > 0)
        queue_append_fingerprint(mqtt->queue, (uint16_t)packet->mid,
                                 replay_digest(packet->topic, packet->payload, (size_t)packet->payloadlen));
}

/* Another copy of a message that is stored. */
static void drop_copy(struct mqtt *mqtt, const struct mosquitto_message *packet)
{
    batch_count_message(mqtt->batch, (size_t)packet->payloadlen);
    keep_fingerprint(mqtt, packet);
}

static void take(struct mqtt *mqtt, const struct mosquitto_message *packet,
                 const struct intake_message *message)
{
    enum intake_fate fate = batch_take(mqtt->batch, message);
    bool is_left = fate == INTAKE_DROPPED || fate == INTAKE_AHEAD;
    if (is_left)
        keep_fingerprint(mqtt, packet);
    if (packet->qos > 0 && (is_left || fate == INTAKE_STORED))
        mqtt_redelivery_stored(mqtt);
    if (fate == INTAKE_UNROUTED && message->retained)
        mqtt_silence_retained(mqtt, message->topic, message->copy);
}

void mqtt_receive(struct mqtt *mqtt, const struct mosquitto_message *packet,
                  const mosquitto_property *properties, const char *unreadable)
{
    size_t filters[MOST_IDENTIFIERS];
    struct route_copy copy;
    bool retained = mqtt_was_retained(mqtt, packet);
    mqtt_read_copy(mqtt, properties, retained, &copy, filters);
    bool is_another = copy.but_shared && mqtt_copies_received(mqtt, packet, properties);
    struct intake_message message = {
        .topic = packet->topic,
        .source = "mqtt",
        .payload = packet->payload,
        .payload_bytes = (size_t)packet->payloadlen,
        .retained = retained,
        .packet_id = packet->mid,
        .late = mqtt->redelivery.late && !retained,
        .copy = &copy,
        .unfit = unreadable,
    };
    mqtt_silence_received(mqtt, packet->topic);
    mqtt_leftover_look(mqtt, packet, properties);
    if (properties)
        mqtt_properties_read(&mqtt->properties, properties, &message);
    if (mqtt_redelivery_received(mqtt, packet))
        batch_count_message(mqtt->batch, message.payload_bytes);
    else if (is_another)
        drop_copy(mqtt, packet);
    else if (retained && mqtt_came_before(mqtt, packet->topic))
        batch_count_message(mqtt->batch, message.payload_bytes);
    else
        take(mqtt, packet, &message);
}
