/* mqtt/acks.c - see mqtt/acks.h. */
#include "mqtt/acks.h"
#include "base/clock.h"
#include "mqtt/unreadable.h"

#include <string.h>

enum {
    SURE_AFTER = 3, /* responses that nobody subscribes: the device may just be asleep */
    GOOD_EVERY_MS = 10 * 60 * 1000,
    BAD_EVERY_MS = 15 * 1000,
};

/* Its entry; a new one takes the place of the one that was tried first, if there are too many. */
static struct ack_topic *find(struct acks *acks, const char *topic)
{
    struct ack_topic *oldest = &acks->topics[0];
    for (size_t i = 0; i < acks->count; i++) {
        if (strcmp(acks->topics[i].topic, topic) == 0)
            return &acks->topics[i];
        if (acks->topics[i].tried_ms < oldest->tried_ms)
            oldest = &acks->topics[i];
    }
    if (acks->count < ACK_TOPICS)
        oldest = &acks->topics[acks->count++];
    free(oldest->topic);
    *oldest = (struct ack_topic){.topic = xstrdup(topic)};
    return oldest;
}

static bool is_due(const struct ack_topic *ack, int64_t now_ms)
{
    int64_t every_ms = ack->failures > 0 ? BAD_EVERY_MS : GOOD_EVERY_MS;
    return ack->packet_id == 0 && (ack->tried_ms == 0 || now_ms - ack->tried_ms >= every_ms);
}

void mqtt_ack_publish(struct mqtt *mqtt, const char *topic, const char *text)
{
    struct ack_topic *ack = find(&mqtt->acks, topic);
    int64_t now_ms = clock_uptime_ms();
    bool asks = !mqtt->use_v311 && is_due(ack, now_ms);
    int packet_id = 0;
    int result = mosquitto_publish(mqtt->client, &packet_id, topic, (int)strlen(text), text, asks, false);
    if (!asks || result != MOSQ_ERR_SUCCESS)
        return;
    ack->packet_id = packet_id;
    ack->tried_ms = now_ms;
}

const char *mqtt_ack_failure(const struct ack_topic *ack)
{
    bool is_sure = ack->reason != MQTT_RC_NO_MATCHING_SUBSCRIBERS || ack->failures >= SURE_AFTER;
    return ack->failures > 0 && is_sure ? mosquitto_reason_string(ack->reason) : NULL;
}

void mqtt_acks_connected(struct mqtt *mqtt)
{
    for (size_t i = 0; i < mqtt->acks.count; i++)
        mqtt->acks.topics[i].packet_id = 0;
}

void mqtt_acks_done(struct mqtt *mqtt)
{
    for (size_t i = 0; i < mqtt->acks.count; i++)
        free(mqtt->acks.topics[i].topic);
    mqtt->acks.count = 0;
}

void mqtt_on_publish(struct mosquitto *client, void *context, int packet_id, int reason,
                     const mosquitto_property *properties)
{
    (void)client;
    (void)properties;
    struct mqtt *mqtt = context;
    for (size_t i = 0; i < mqtt->acks.count; i++) {
        struct ack_topic *ack = &mqtt->acks.topics[i];
        if (ack->packet_id != packet_id)
            continue;
        ack->packet_id = 0;
        ack->reason = reason;
        ack->failures = reason == MQTT_RC_SUCCESS ? 0 : ack->failures + 1;
    }
    mqtt_unreadable_pause(mqtt);
}
