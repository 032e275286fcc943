/* mqtt/subscriptions.c - the topic filters that the broker holds for us.
 *
 * Subscriptions live in the session and outlive our restarts. Every filter of
 * the configuration is subscribed to at each connect, under an identifier of its
 * own (see queue/subscriptions.c), with retain handling 1: the broker sends
 * retained messages only for a new subscription. MQTT 3.1.1 has no such thing:
 * there, what a resumed session holds already is not subscribed to again.
 * Filters that the configuration no longer has are unsubscribed after that; so
 * between the two no message falls through.
 *
 * Callbacks run while messages are read, inside a transaction; what the database
 * is to be told is left for later (`note_due`).
 */
#include "base/log.h"
#include "mqtt/internal.h"

#include <errno.h>
#include <string.h>

enum {
    QOS = 1,                  /* 2 is less safe here: after PUBREC the payload is only in our memory */
    NOT_GRANTED = 0x80000000, /* makes a rank higher than every identifier */
    FIRST_REFUSAL = 0x80,     /* MQTT 5.0 and 3.1.1, section 3.9.3 */
};

void intake_mqtt_subscriptions_free(struct intake_mqtt *mqtt)
{
    for (size_t i = 0; i < mqtt->vanished_count; i++)
        free(mqtt->vanished[i].filter);
    free(mqtt->vanished);
    free(mqtt->filters);
    free(mqtt->ranks);
    mqtt->vanished = NULL;
    mqtt->filters = NULL;
    mqtt->ranks = NULL;
    mqtt->vanished_count = mqtt->filter_count = 0;
}

static void set_rank(struct intake_mqtt *mqtt, size_t filter)
{
    const struct filter *f = &mqtt->filters[filter];
    mqtt->ranks[filter] = f->granted ? f->identifier : f->identifier | (uint32_t)NOT_GRANTED;
}

/* ---- what is to be done ---- */

static void collect(void *context, const struct subscription *subscription)
{
    struct intake_mqtt *mqtt = context;
    size_t filter = route_table_find_filter(intake_routes(mqtt->intake), subscription->filter);
    if (filter != SIZE_MAX && !subscription->vanished) {
        mqtt->filters[filter].identifier = subscription->identifier;
        mqtt->filters[filter].granted = subscription->granted;
        set_rank(mqtt, filter);
        return;
    }
    mqtt->vanished = xrealloc(mqtt->vanished, (mqtt->vanished_count + 1) * sizeof *mqtt->vanished);
    mqtt->vanished[mqtt->vanished_count++] = (struct vanished){
        .filter = xstrdup(subscription->filter),
        .identifier = subscription->identifier,
        .covered_to = subscription->covered_to,
        .unsubscribed = subscription->unsubscribed,
    };
}

static int read_subscriptions(struct intake_mqtt *mqtt)
{
    intake_mqtt_subscriptions_free(mqtt);
    mqtt->filter_count = route_table_filter_count(intake_routes(mqtt->intake));
    mqtt->filters = xcalloc(mqtt->filter_count, sizeof *mqtt->filters);
    mqtt->ranks = xcalloc(mqtt->filter_count, sizeof *mqtt->ranks);
    return queue_subscriptions(mqtt->queue, collect, mqtt);
}

/* First the vanished ones, then the new ones: that tells which saw the same
 * messages. Messages that waited in the session come right behind the CONNACK,
 * so this must be done before anything is read. */
static int prepare(struct intake_mqtt *mqtt)
{
    const struct route_table *routes = intake_routes(mqtt->intake);
    int error = read_subscriptions(mqtt);
    for (size_t i = 0; i < mqtt->vanished_count && error == 0; i++)
        error = queue_subscription_vanish(mqtt->queue, mqtt->vanished[i].filter);
    for (size_t i = 0; i < mqtt->filter_count && error == 0; i++)
        if (mqtt->filters[i].identifier == 0)
            error = queue_subscription_add(mqtt->queue, route_table_filter(routes, i));
    if (error == 0)
        error = read_subscriptions(mqtt);
    if (error == 0)
        mqtt->prepare_due = false;
    return error;
}

/* ---- packets ---- */

static void send_subscribe(struct intake_mqtt *mqtt, size_t filter)
{
    const char *text = route_table_filter(intake_routes(mqtt->intake), filter);
    struct filter *f = &mqtt->filters[filter];
    mosquitto_property *properties = NULL;
    if (mqtt->identifiers_available)
        mosquitto_property_add_varint(&properties, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, f->identifier);
    int options = mqtt->use_v311 ? 0 : MQTT_SUB_OPT_SEND_RETAIN_NEW;
    int result = mosquitto_subscribe_v5(mqtt->client, &f->packet_id, text, QOS, options, properties);
    mosquitto_property_free_all(&properties);
    if (result != MOSQ_ERR_SUCCESS)
        log_error(EVENT_SUBSCRIBE_FAILED, "%s: %s", text, mosquitto_strerror(result));
}

static void subscribe(struct intake_mqtt *mqtt)
{
    for (size_t i = 0; i < mqtt->filter_count; i++)
        if (!(mqtt->use_v311 && mqtt->session_present && mqtt->filters[i].granted))
            send_subscribe(mqtt, i);
    for (size_t i = 0; i < mqtt->vanished_count; i++) {
        struct vanished *vanished = &mqtt->vanished[i];
        if (vanished->unsubscribed)
            continue;
        mosquitto_unsubscribe(mqtt->client, &vanished->packet_id, vanished->filter);
        log_info(EVENT_UNSUBSCRIBED, "%s: no route has this filter any more", vanished->filter);
    }
    mqtt->subscribe_due = false;
}

static int note(struct intake_mqtt *mqtt)
{
    const struct route_table *routes = intake_routes(mqtt->intake);
    int error = 0;
    for (size_t i = 0; i < mqtt->filter_count && error == 0; i++)
        if (mqtt->filters[i].note_due) {
            error = queue_subscription_grant(mqtt->queue, route_table_filter(routes, i),
                                             mqtt->filters[i].granted);
            mqtt->filters[i].note_due = error != 0;
        }
    for (size_t i = 0; i < mqtt->vanished_count && error == 0; i++)
        if (mqtt->vanished[i].note_due) {
            error = queue_subscription_unsubscribed(mqtt->queue, mqtt->vanished[i].filter);
            mqtt->vanished[i].note_due = error != 0;
        }
    mqtt->note_due = error != 0;
    return error;
}

int intake_mqtt_subscriptions(struct intake_mqtt *mqtt)
{
    int error = 0;
    if (mqtt->prepare_due)
        error = prepare(mqtt);
    if (error == 0 && mqtt->note_due)
        error = note(mqtt);
    if (error == 0 && mqtt->subscribe_due && mqtt->link == LINK_UP)
        subscribe(mqtt);
    return error;
}

/* ---- answers ---- */

static void granted_qos(struct intake_mqtt *mqtt, size_t filter, int qos)
{
    const char *text = route_table_filter(intake_routes(mqtt->intake), filter);
    struct filter *f = &mqtt->filters[filter];
    bool granted = qos < FIRST_REFUSAL;
    if (!granted)
        log_error(EVENT_SUBSCRIPTION_REFUSED, "%s: %s; allow it in the broker's ACL", text,
                  mosquitto_reason_string(qos));
    else if (qos < QOS)
        log_error(EVENT_SUBSCRIPTION_DOWNGRADED,
                  "%s: QoS %d only: messages can be lost between the broker and sluice", text, qos);
    if (granted != f->granted) {
        f->granted = granted;
        f->note_due = mqtt->note_due = true;
        set_rank(mqtt, filter);
    }
}

void intake_mqtt_on_suback(struct mosquitto *client, void *context, int packet_id, int count,
                           const int *granted, const mosquitto_property *properties)
{
    (void)client;
    (void)properties;
    struct intake_mqtt *mqtt = context;
    for (size_t i = 0; i < mqtt->filter_count; i++)
        if (mqtt->filters[i].packet_id == packet_id && count > 0)
            granted_qos(mqtt, i, granted[0]);
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
            mqtt->vanished[i].unsubscribed = mqtt->vanished[i].note_due = mqtt->note_due = true;
}
