/* mqtt/copies.c - see mqtt/copies.h. */
#include "mqtt/copies.h"
#include "mqtt/subscriptions.h"

static bool is_named(const struct copies *copies, uint32_t identifier)
{
    for (unsigned i = 0; i < copies->last.named_count; i++)
        if (copies->last.named[i] == identifier)
            return true;
    return false;
}

/* The subscriptions that this copy names. */
static unsigned read_names(const mosquitto_property *properties, uint32_t names[static QUEUE_COPIES_MOST])
{
    unsigned count = 0;
    const mosquitto_property *at =
        mosquitto_property_read_varint(properties, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, &names[0], false);
    while (at && ++count < QUEUE_COPIES_MOST)
        at = mosquitto_property_read_varint(at, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, &names[count], true);
    return count;
}

void mqtt_copies_load(struct mqtt *mqtt)
{
    struct copies *copies = &mqtt->copies;
    *copies = (struct copies){.save_due = false};
    queue_last_copies(mqtt->queue, &copies->last);
    copies->is_saved = copies->last.named_count > 0;
}

void mqtt_copies_connected(struct mqtt *mqtt, bool session_present)
{
    if (!session_present)
        mqtt->copies.last = (struct queue_copies){.named_count = 0};
    mqtt->copies.save_due = mqtt->copies.save_due || !session_present;
}

bool mqtt_copies_received(struct mqtt *mqtt, const struct mosquitto_message *packet,
                          const mosquitto_property *properties)
{
    struct copies *copies = &mqtt->copies;
    struct queue_copies *last = &copies->last;
    uint32_t names[QUEUE_COPIES_MOST];
    unsigned count = read_names(properties, names), fresh = 0;
    uint64_t digest = replay_digest(packet->topic, packet->payload, (size_t)packet->payloadlen);
    for (unsigned i = 0; i < count; i++)
        fresh += !is_named(copies, names[i]);
    bool another = count > 0 && fresh == count && last->named_count > 0 && last->digest == digest &&
                   (mqtt->redelivery.is_settled || mqtt_subscription_is_known(mqtt, last->named[0]) ||
                    !mqtt_subscription_is_known(mqtt, names[0]));
    if (!another)
        *last = (struct queue_copies){.digest = digest};
    for (unsigned i = 0; i < count && last->named_count < QUEUE_COPIES_MOST; i++)
        last->named[last->named_count++] = names[i];
    copies->save_due = true;
    return another;
}

/* Where each topic matches one subscription only, there is nothing to write. */
void mqtt_copies_save(struct mqtt *mqtt)
{
    struct copies *copies = &mqtt->copies;
    bool needed = copies->last.named_count > 0 && mqtt->subscriptions.overlap;
    if (copies->save_due && (needed || copies->is_saved))
        queue_last_copies_set(mqtt->queue, needed ? &copies->last : NULL);
    copies->is_saved = copies->save_due ? needed : copies->is_saved;
    copies->save_due = false;
}
