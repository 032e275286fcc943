/* intake_mqtt_subscribe.c - the topic filters that the broker holds for us.
 *
 * Subscriptions live in the session and outlive our restarts. Every filter of
 * the configuration is subscribed to at each connect, under an identifier of its
 * own that never changes (see queue_subscription.c), with retain handling 1: the
 * broker sends retained messages only for a new subscription. Filters that the
 * configuration no longer has are unsubscribed after that, and forgotten when
 * the broker confirms it; so between the two no message falls through.
 *
 * Callbacks run while messages are read, inside a transaction; what needs the
 * database is left for later (`forget_due`).
 */
#include "intake_mqtt_private.h"
#include "log.h"

#include <errno.h>
#include <string.h>

enum { QOS = 1 }; /* 2 is less safe here: after PUBREC the payload is only in our memory */

static void collect_vanished(void *context, const char *filter, uint32_t identifier)
{
    (void)identifier;
    struct intake_mqtt *mqtt = context;
    if (route_table_find_filter(intake_routes(mqtt->intake), filter) != SIZE_MAX)
        return;
    mqtt->vanished = xrealloc(mqtt->vanished, (mqtt->vanished_count + 1) * sizeof *mqtt->vanished);
    mqtt->vanished[mqtt->vanished_count++] = (struct vanished){.filter = xstrdup(filter)};
}

void intake_mqtt_subscriptions_free(struct intake_mqtt *mqtt)
{
    for (size_t i = 0; i < mqtt->vanished_count; i++)
        free(mqtt->vanished[i].filter);
    free(mqtt->vanished);
    free(mqtt->identifiers);
    free(mqtt->packet_ids);
    mqtt->vanished = NULL;
    mqtt->identifiers = NULL;
    mqtt->packet_ids = NULL;
    mqtt->vanished_count = mqtt->filter_count = 0;
}

/* Reads what is to be done from the database. Messages that waited in the session
 * come right behind the CONNACK, so this must be done before anything is read. */
static int prepare(struct intake_mqtt *mqtt)
{
    const struct route_table *routes = intake_routes(mqtt->intake);
    intake_mqtt_subscriptions_free(mqtt);
    mqtt->filter_count = route_table_filter_count(routes);
    mqtt->identifiers = xcalloc(mqtt->filter_count, sizeof *mqtt->identifiers);
    mqtt->packet_ids = xcalloc(mqtt->filter_count, sizeof *mqtt->packet_ids);
    for (size_t i = 0; i < mqtt->filter_count; i++) {
        int error = queue_subscription_add(mqtt->queue, route_table_filter(routes, i), &mqtt->identifiers[i]);
        if (error != 0)
            return error;
    }
    int error = queue_subscriptions(mqtt->queue, collect_vanished, mqtt);
    if (error == 0)
        mqtt->prepare_due = false;
    return error;
}

static void send_subscribe(struct intake_mqtt *mqtt, size_t filter)
{
    const char *text = route_table_filter(intake_routes(mqtt->intake), filter);
    mosquitto_property *properties = NULL;
    if (mqtt->identifiers_available)
        mosquitto_property_add_varint(&properties, MQTT_PROP_SUBSCRIPTION_IDENTIFIER,
                                      mqtt->identifiers[filter]);
    int options = mqtt->use_v311 ? 0 : MQTT_SUB_OPT_SEND_RETAIN_NEW;
    int result =
        mosquitto_subscribe_v5(mqtt->client, &mqtt->packet_ids[filter], text, QOS, options, properties);
    mosquitto_property_free_all(&properties);
    if (result != MOSQ_ERR_SUCCESS)
        log_error("broker: cannot subscribe to %s: %s", text, mosquitto_strerror(result));
}

static void subscribe(struct intake_mqtt *mqtt)
{
    for (size_t i = 0; i < mqtt->filter_count; i++)
        send_subscribe(mqtt, i);
    for (size_t i = 0; i < mqtt->vanished_count; i++) {
        struct vanished *vanished = &mqtt->vanished[i];
        mosquitto_unsubscribe(mqtt->client, &vanished->packet_id, vanished->filter);
        log_info("broker: unsubscribing from %s, which no route names any more", vanished->filter);
    }
    mqtt->subscribe_due = false;
}

static int forget(struct intake_mqtt *mqtt)
{
    for (size_t i = 0; i < mqtt->vanished_count; i++) {
        struct vanished *vanished = &mqtt->vanished[i];
        if (!vanished->gone)
            continue;
        int error = queue_subscription_remove(mqtt->queue, vanished->filter);
        if (error != 0)
            return error;
        vanished->gone = false;
    }
    mqtt->forget_due = false;
    return 0;
}

int intake_mqtt_subscriptions(struct intake_mqtt *mqtt)
{
    int error = 0;
    if (mqtt->forget_due)
        error = forget(mqtt);
    if (error == 0 && mqtt->prepare_due)
        error = prepare(mqtt);
    if (error == 0 && mqtt->subscribe_due && mqtt->link == LINK_UP)
        subscribe(mqtt);
    return error;
}

void intake_mqtt_on_suback(struct mosquitto *client, void *context, int packet_id, int count,
                           const int *granted, const mosquitto_property *properties)
{
    (void)client;
    (void)properties;
    struct intake_mqtt *mqtt = context;
    enum { REFUSED = 0x80 }; /* and above; MQTT 5.0 section 3.9.3, 3.1.1 section 3.9.3 */
    for (size_t i = 0; i < mqtt->filter_count; i++) {
        if (mqtt->packet_ids[i] != packet_id || count < 1)
            continue;
        const char *filter = route_table_filter(intake_routes(mqtt->intake), i);
        if (granted[0] >= REFUSED)
            log_error("broker: refuses the subscription to %s: %s; allow it in the broker's ACL", filter,
                      mosquitto_reason_string(granted[0]));
        else if (granted[0] < QOS)
            log_error("broker: grants %s only at QoS %d: messages can be lost between the broker and sluice",
                      filter, granted[0]);
    }
}

void intake_mqtt_on_unsuback(struct mosquitto *client, void *context, int packet_id,
                             const mosquitto_property *properties)
{
    (void)client;
    (void)properties;
    struct intake_mqtt *mqtt = context;
    if (intake_mqtt_synced(mqtt, packet_id))
        return;
    for (size_t i = 0; i < mqtt->vanished_count; i++)
        if (mqtt->vanished[i].packet_id == packet_id)
            mqtt->vanished[i].gone = mqtt->forget_due = true;
}
