/* mqtt/subscriptions.c - see mqtt/subscriptions.h.
 *
 * Subscriptions are part of the session and outlive a restart of sluice. At each connect we
 * subscribe to every filter of the configuration, under an identifier of its own
 * (queue/subscriptions.c), with retain handling 1: then the broker sends retained messages
 * only for a new subscription. After that we unsubscribe from the filters that the
 * configuration no longer has. In this order, no message is missed between the two.
 *
 * We subscribe and unsubscribe again although the session is present: the broker may have been killed before
 * it saved the last change, and some brokers always say that it is present. MQTT 3.1.1 has no retain
 * handling: there, the broker sends the retained messages again, and we drop those that match
 * known filters only.
 *
 * Callbacks run while a batch is open, so they leave changes of the database for later
 * (`save_due`).
 */
#include "mqtt/subscriptions.h"
#include "base/log.h"
#include "message/topic.h"
#include "mqtt/reason.h"
#include "mqtt/redelivery.h"
#include "mqtt/unreadable.h"

#include <errno.h>
#include <string.h>

enum {
    QOS = 1,              /* 2 is less safe here: after PUBREC the payload is only in our memory */
    FIRST_REFUSAL = 0x80, /* MQTT 5.0 and 3.1.1, section 3.9.3 */
};

static const uint32_t not_granted = 0x80000000; /* makes a rank higher than every identifier */

/* ---- the database ---- */

void mqtt_subscriptions_done(struct mqtt *mqtt)
{
    struct subscriptions *subscriptions = &mqtt->subscriptions;
    for (size_t i = 0; i < subscriptions->vanished_count; i++)
        free(subscriptions->vanished[i].filter);
    free(subscriptions->vanished);
    free(subscriptions->filters);
    free(subscriptions->ranks);
    subscriptions->vanished = NULL;
    subscriptions->filters = NULL;
    subscriptions->ranks = NULL;
    subscriptions->vanished_count = subscriptions->filter_count = 0;
}

static void set_rank(struct subscriptions *subscriptions, size_t filter)
{
    const struct filter *f = &subscriptions->filters[filter];
    subscriptions->ranks[filter] = f->granted ? f->identifier : f->identifier | (uint32_t)not_granted;
}

static void collect(void *context, const struct subscription *subscription)
{
    struct mqtt *mqtt = context;
    struct subscriptions *subscriptions = &mqtt->subscriptions;
    size_t filter = route_table_find_filter(intake_routes(mqtt->intake), subscription->filter);
    if (filter != SIZE_MAX && !subscription->vanished) {
        subscriptions->filters[filter].identifier = subscription->identifier;
        subscriptions->filters[filter].granted = subscription->granted;
        subscriptions->filters[filter].matched = subscription->matched;
        set_rank(subscriptions, filter);
        return;
    }
    subscriptions->vanished =
        xrealloc(subscriptions->vanished, (subscriptions->vanished_count + 1) * sizeof(struct vanished));
    subscriptions->vanished[subscriptions->vanished_count++] = (struct vanished){
        .filter = xstrdup(subscription->filter),
        .identifier = subscription->identifier,
        .covered_to = subscription->covered_to,
        .unsubscribed = subscription->unsubscribed,
    };
}

/* What is known of a subscription since the start outlives a connection. */
static void keep_facts(struct subscriptions *subscriptions, const struct filter *before, size_t count)
{
    for (size_t i = 0; i < subscriptions->filter_count; i++)
        for (size_t k = 0; k < count; k++) {
            struct filter *now = &subscriptions->filters[i];
            const struct filter *old = &before[k];
            if (old->identifier == 0 || old->identifier != now->identifier)
                continue;
            now->is_answered = old->is_answered;
            now->qos = old->qos;
            now->why = old->why;
            now->matched_due = old->matched_due;
            now->is_heard = old->is_heard;
            now->others_ms = old->others_ms;
            now->retained = old->retained;
        }
}

static int read_subscriptions(struct mqtt *mqtt)
{
    struct subscriptions *subscriptions = &mqtt->subscriptions;
    cleanup_free struct filter *before = subscriptions->filters;
    size_t count = subscriptions->filter_count;
    subscriptions->filters = NULL;
    mqtt_subscriptions_done(mqtt);
    subscriptions->filter_count = route_table_filter_count(intake_routes(mqtt->intake));
    subscriptions->filters = xcalloc(subscriptions->filter_count, sizeof *subscriptions->filters);
    subscriptions->ranks = xcalloc(subscriptions->filter_count, sizeof *subscriptions->ranks);
    int error = queue_subscriptions(mqtt->queue, collect, mqtt);
    keep_facts(subscriptions, before, count);
    return error;
}

/* Whether a topic can match two of them. */
static bool overlap(const struct mqtt *mqtt)
{
    const struct subscriptions *subscriptions = &mqtt->subscriptions;
    const struct route_table *routes = intake_routes(mqtt->intake);
    for (size_t i = 0; i < subscriptions->filter_count; i++) {
        for (size_t k = 0; k < i; k++)
            if (topic_filters_meet(route_table_filter(routes, i), route_table_filter(routes, k)))
                return true;
        for (size_t k = 0; k < subscriptions->vanished_count; k++)
            if (!subscriptions->vanished[k].unsubscribed &&
                topic_filters_meet(route_table_filter(routes, i), subscriptions->vanished[k].filter))
                return true;
    }
    return false;
}

/* First the vanished ones, then the new ones: their identifiers tell which saw the same
 * messages. Messages of a resumed session come right after the CONNACK, so this must be done
 * before anything is read. */
static int prepare(struct mqtt *mqtt)
{
    struct subscriptions *subscriptions = &mqtt->subscriptions;
    const struct route_table *routes = intake_routes(mqtt->intake);
    int error = read_subscriptions(mqtt);
    for (size_t i = 0; i < subscriptions->vanished_count && error == 0; i++)
        error = queue_subscription_vanish(mqtt->queue, subscriptions->vanished[i].filter);
    for (size_t i = 0; i < subscriptions->filter_count && error == 0; i++)
        if (subscriptions->filters[i].identifier == 0)
            error = queue_subscription_add(mqtt->queue, route_table_filter(routes, i));
    if (error == 0)
        error = read_subscriptions(mqtt);
    subscriptions->overlap = overlap(mqtt);
    subscriptions->prepare_due = error != 0;
    return error;
}

static int save(struct mqtt *mqtt)
{
    struct subscriptions *subscriptions = &mqtt->subscriptions;
    const struct route_table *routes = intake_routes(mqtt->intake);
    int error = 0;
    for (size_t i = 0; i < subscriptions->filter_count && error == 0; i++) {
        struct filter *filter = &subscriptions->filters[i];
        if (filter->save_due)
            error = queue_subscription_grant(mqtt->queue, route_table_filter(routes, i), filter->granted);
        filter->save_due = filter->save_due && error != 0;
        if (error == 0 && filter->matched_due)
            error = queue_subscription_matched(mqtt->queue, route_table_filter(routes, i));
        filter->matched_due = filter->matched_due && error != 0;
    }
    for (size_t i = 0; i < subscriptions->vanished_count && error == 0; i++) {
        struct vanished *vanished = &subscriptions->vanished[i];
        if (vanished->save_due)
            error = queue_subscription_unsubscribed(mqtt->queue, vanished->filter);
        vanished->save_due = vanished->save_due && error != 0;
    }
    subscriptions->save_due = error != 0;
    return error;
}

/* ---- packets ---- */

static void send_subscribe(struct mqtt *mqtt, size_t filter)
{
    const char *text = route_table_filter(intake_routes(mqtt->intake), filter);
    struct filter *f = &mqtt->subscriptions.filters[filter];
    mosquitto_property *properties = NULL;
    if (mqtt->identifiers_available)
        mosquitto_property_add_varint(&properties, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, f->identifier);
    bool only_new = !mqtt->use_v311 && !mqtt->unreadable.retained_left;
    int options = only_new ? MQTT_SUB_OPT_SEND_RETAIN_NEW : 0;
    int result = mosquitto_subscribe_v5(mqtt->client, &f->packet_id, text, QOS, options, properties);
    mosquitto_property_free_all(&properties);
    if (result == MOSQ_ERR_SUCCESS)
        return;
    f->is_answered = true;
    f->why = mosquitto_strerror(result);
    log_error(EVENT_SUBSCRIBE_FAILED, "%s: %s", text, f->why);
}

static void subscribe(struct mqtt *mqtt)
{
    struct subscriptions *subscriptions = &mqtt->subscriptions;
    for (size_t i = 0; i < subscriptions->filter_count; i++) {
        subscriptions->filters[i].known = subscriptions->filters[i].granted &&
                                          !subscriptions->session_is_new && !mqtt->unreadable.retained_left;
        if (!subscriptions->filters[i].known || mqtt->use_v311) {
            mqtt->redelivery.retained_due = true;
            mqtt->redelivery.trip_ends_retained = false;
        }
        send_subscribe(mqtt, i);
    }
    subscriptions->session_is_new = false;
    if (subscriptions->leftover.packet_id != 0)
        subscriptions->leftover.tried_count--; /* the connection broke before the UNSUBACK */
    subscriptions->leftover.packet_id = 0;
    for (size_t i = 0; i < subscriptions->vanished_count; i++) {
        struct vanished *vanished = &subscriptions->vanished[i];
        mosquitto_unsubscribe(mqtt->client, &vanished->packet_id, vanished->filter);
        if (!vanished->unsubscribed)
            log_info(EVENT_UNSUBSCRIBED, "%s: no route has this filter any more", vanished->filter);
    }
    subscriptions->subscribe_due = false;
}

int mqtt_update_subscriptions(struct mqtt *mqtt)
{
    const struct subscriptions *subscriptions = &mqtt->subscriptions;
    int error = subscriptions->prepare_due ? prepare(mqtt) : 0;
    if (error == 0 && subscriptions->save_due)
        error = save(mqtt);
    if (error == 0 && subscriptions->subscribe_due && mqtt->link == LINK_UP)
        subscribe(mqtt);
    return error;
}

/* ---- acknowledgements ---- */

static void granted_qos(struct mqtt *mqtt, size_t filter, int qos)
{
    const char *text = route_table_filter(intake_routes(mqtt->intake), filter);
    struct filter *f = &mqtt->subscriptions.filters[filter];
    bool granted = qos < FIRST_REFUSAL;
    f->is_answered = true;
    f->qos = qos;
    f->why = granted ? NULL : reason_of_suback(qos);
    if (!granted)
        log_error(EVENT_SUBSCRIPTION_REFUSED, "%s: the broker refuses it: %s", text, f->why);
    else if (qos < QOS)
        log_error(EVENT_SUBSCRIPTION_DOWNGRADED,
                  "%s: QoS %d only: messages can be lost between the broker and sluice", text, qos);
    if (granted != f->granted) {
        f->granted = granted;
        f->save_due = mqtt->subscriptions.save_due = true;
        set_rank(&mqtt->subscriptions, filter);
    }
}

void mqtt_on_suback(struct mosquitto *client, void *context, int packet_id, int count, const int *granted,
                    const mosquitto_property *properties)
{
    (void)client;
    (void)properties;
    struct mqtt *mqtt = context;
    for (size_t i = 0; i < mqtt->subscriptions.filter_count; i++)
        if (mqtt->subscriptions.filters[i].packet_id == packet_id && count > 0)
            granted_qos(mqtt, i, granted[0]);
    mqtt_unreadable_pause(mqtt);
}

void mqtt_on_unsuback(struct mosquitto *client, void *context, int packet_id,
                      const mosquitto_property *properties)
{
    (void)client;
    (void)properties;
    struct mqtt *mqtt = context;
    struct subscriptions *subscriptions = &mqtt->subscriptions;
    bool is_trip = mqtt_round_trip_end(mqtt, packet_id);
    if (!is_trip && packet_id == subscriptions->leftover.packet_id)
        subscriptions->leftover.packet_id = 0;
    for (size_t i = 0; i < subscriptions->vanished_count && !is_trip; i++) {
        struct vanished *vanished = &subscriptions->vanished[i];
        if (vanished->packet_id == packet_id)
            vanished->unsubscribed = vanished->save_due = subscriptions->save_due = true;
    }
    mqtt_unreadable_pause(mqtt);
}

/* ---- messages ---- */

bool mqtt_was_retained(const struct mqtt *mqtt, const struct mosquitto_message *packet)
{
    return packet->retain && mqtt->redelivery.retained_due;
}

bool mqtt_came_before(const struct mqtt *mqtt, const char *topic)
{
    const struct subscriptions *subscriptions = &mqtt->subscriptions;
    const struct route_table *routes = intake_routes(mqtt->intake);
    for (size_t i = 0; i < subscriptions->filter_count; i++)
        if (!subscriptions->filters[i].known && topic_matches(route_table_filter(routes, i), topic))
            return false;
    return mqtt->use_v311;
}

bool mqtt_subscription_is_known(const struct mqtt *mqtt, uint32_t identifier)
{
    const struct subscriptions *subscriptions = &mqtt->subscriptions;
    for (size_t i = 0; i < subscriptions->filter_count; i++)
        if (subscriptions->filters[i].identifier == identifier)
            return true;
    for (size_t i = 0; i < subscriptions->vanished_count; i++)
        if (subscriptions->vanished[i].identifier == identifier)
            return true;
    return false;
}

bool mqtt_topic_is_known(const struct mqtt *mqtt, const char *topic)
{
    const struct subscriptions *subscriptions = &mqtt->subscriptions;
    for (size_t i = 0; i < subscriptions->filter_count; i++)
        if (topic_matches(route_table_filter(intake_routes(mqtt->intake), i), topic))
            return true;
    for (size_t i = 0; i < subscriptions->vanished_count; i++)
        if (topic_matches(subscriptions->vanished[i].filter, topic))
            return true;
    return false;
}

static void add_filter(const struct subscriptions *subscriptions, uint32_t identifier,
                       struct route_copy *copy, size_t filters[static MOST_IDENTIFIERS])
{
    for (size_t i = 0; i < subscriptions->filter_count; i++)
        if (subscriptions->filters[i].identifier == identifier)
            filters[copy->filter_count++] = i;
    for (size_t i = 0; i < subscriptions->vanished_count; i++)
        if (subscriptions->vanished[i].identifier == identifier)
            copy->covered_to = subscriptions->vanished[i].covered_to;
}

static bool is_shared(const struct mqtt *mqtt, const struct route_copy *copy)
{
    for (size_t i = 0; i < copy->filter_count; i++)
        if (topic_filter_is_shared(route_table_filter(intake_routes(mqtt->intake), copy->filters[i])))
            return true;
    return false;
}

void mqtt_read_copy(const struct mqtt *mqtt, const mosquitto_property *properties, bool retained,
                    struct route_copy *copy, size_t filters[static MOST_IDENTIFIERS])
{
    *copy = (struct route_copy){.filters = filters};
    uint32_t identifier;
    const mosquitto_property *at =
        mosquitto_property_read_varint(properties, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, &identifier, false);
    if (at)
        copy->ranks = mqtt->subscriptions.ranks; /* otherwise it stands for all filters */
    bool is_nameless = !at && mqtt->identifiers_available && mqtt->redelivery.is_settled;
    while (at && copy->filter_count < MOST_IDENTIFIERS) {
        add_filter(&mqtt->subscriptions, identifier, copy, filters);
        at = mosquitto_property_read_varint(at, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, &identifier, true);
    }
    if (!retained && (is_nameless || (copy->ranks && !is_shared(mqtt, copy))))
        *copy = (struct route_copy){.but_shared = true}; /* the name says nothing: mqtt/copies.h */
}
