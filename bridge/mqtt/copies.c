/* mqtt/copies.c - see mqtt/copies.h. */
#include "mqtt/copies.h"
#include "mqtt/subscriptions.h"

static bool is_named(const struct queue_copies *last, uint32_t identifier)
{
    for (unsigned i = 0; i < last->named_count; i++)
        if (last->named[i] == identifier)
            return true;
    return false;
}

/* The subscriptions that this copy names. Once the broker has no older messages, a copy that names
 * none is for a subscription that only the broker knows: its name is 0. */
static unsigned read_names(const mosquitto_property *properties, uint32_t names[static QUEUE_COPIES_MOST])
{
    unsigned count = 0;
    const mosquitto_property *at =
        mosquitto_property_read_varint(properties, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, &names[0], false);
    while (at && ++count < QUEUE_COPIES_MOST)
        at = mosquitto_property_read_varint(at, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, &names[count], true);
    if (count == 0)
        names[count++] = 0;
    return count;
}

/* Two subscriptions get copies of one message only if the broker had both at one time. What was removed
 * before the other one was made cannot have one. */
static bool were_together(const struct mqtt *mqtt, uint32_t earlier, uint32_t later)
{
    const struct subscriptions *subscriptions = &mqtt->subscriptions;
    for (size_t i = 0; i < subscriptions->vanished_count; i++)
        if (subscriptions->vanished[i].identifier == earlier)
            return later <= subscriptions->vanished[i].covered_to;
    bool unknown_first =
        !mqtt_subscription_is_known(mqtt, earlier) && mqtt_subscription_is_known(mqtt, later);
    return mqtt->redelivery.is_settled || !unknown_first;
}

static bool is_copy(const struct mqtt *mqtt, const struct queue_copies *last, uint64_t digest,
                    const uint32_t *names, unsigned count)
{
    if (last->named_count == 0 || last->digest != digest)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (is_named(last, names[i]))
            return false;
        for (unsigned k = 0; k < last->named_count; k++)
            if (!were_together(mqtt, last->named[k], names[i]))
                return false;
    }
    return true;
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
    mqtt->copies.are_complete = mqtt->copies.are_complete || !session_present;
}

/* What comes now is no copy of what came. */
static void forget_complete(struct copies *copies)
{
    if (!copies->are_complete)
        return;
    copies->last = copies->last_qos0 = (struct queue_copies){.named_count = 0};
    copies->are_complete = false;
    copies->save_due = true;
}

bool mqtt_copies_received(struct mqtt *mqtt, const struct mosquitto_message *packet,
                          const mosquitto_property *properties)
{
    struct copies *copies = &mqtt->copies;
    forget_complete(copies);
    struct queue_copies *last = packet->qos > 0 ? &copies->last : &copies->last_qos0;
    uint32_t names[QUEUE_COPIES_MOST];
    unsigned count = read_names(properties, names);
    uint64_t digest = replay_digest(packet->topic, packet->payload, (size_t)packet->payloadlen);
    bool another = is_copy(mqtt, last, digest, names, count);
    if (!another)
        *last = (struct queue_copies){.digest = digest};
    for (unsigned i = 0; i < count && last->named_count < QUEUE_COPIES_MOST; i++)
        last->named[last->named_count++] = names[i];
    copies->save_due = copies->save_due || packet->qos > 0;
    return another;
}

/* Where each topic matches one subscription only, there is nothing to write. */
void mqtt_copies_save(struct mqtt *mqtt)
{
    struct copies *copies = &mqtt->copies;
    forget_complete(copies);
    bool needed = copies->last.named_count > 0 && mqtt->subscriptions.overlap;
    if (!queue_stores(mqtt->queue))
        return; /* the transaction is not committed */
    if (copies->save_due && (needed || copies->is_saved))
        queue_last_copies_set(mqtt->queue, needed ? &copies->last : NULL);
    copies->is_saved = copies->save_due ? needed : copies->is_saved;
    copies->save_due = false;
}
