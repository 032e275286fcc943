/* mqtt/leftover.c - see mqtt/leftover.h. */
#include "mqtt/leftover.h"
#include "base/buf.h"
#include "base/log.h"
#include "message/topic.h"
#include "mqtt/subscriptions.h"

#include <string.h>

enum {
    LEVELS_MOST = 8,                       /* of a topic: there are many filters for a deeper one */
    TOPIC_MOST = 1024,                     /* bytes: all filters are in memory together */
    FILTERS_MOST = 3 * (1 << LEVELS_MOST), /* for one topic */
};

/* ---- filters that match a topic ---- */

struct slice {
    const char *at;
    size_t bytes;
};

struct candidates {
    const struct route_table *routes;
    char *filters[FILTERS_MOST];
    int count;
};

static size_t split(const char *topic, struct slice levels[static LEVELS_MOST])
{
    size_t count = 0;
    for (const char *at = topic;; at++) {
        size_t bytes = strcspn(at, "/");
        if (count == LEVELS_MOST)
            return 0;
        levels[count++] = (struct slice){.at = at, .bytes = bytes};
        at += bytes;
        if (*at == '\0')
            return count;
    }
}

/* The first `used` levels, where bit i of plus makes level i a `+`; then `#`, unless all are used. */
static void add(struct candidates *to, const struct slice *levels, size_t used, unsigned plus, bool all)
{
    struct buf filter cleanup_buf;
    buf_init(&filter, 65535);
    for (size_t i = 0; i < used; i++) {
        if (plus >> i & 1)
            buf_append_text(&filter, "+");
        else
            buf_append(&filter, levels[i].at, levels[i].bytes);
        if (i + 1 < used || !all)
            buf_append_text(&filter, "/");
    }
    if (!all)
        buf_append_text(&filter, "#");
    if (route_table_find_filter(to->routes, buf_text(&filter)) == SIZE_MAX)
        to->filters[to->count++] = xstrdup(buf_text(&filter));
}

static void find(struct candidates *to, const char *topic)
{
    struct slice levels[LEVELS_MOST];
    size_t count = strlen(topic) <= TOPIC_MOST ? split(topic, levels) : 0;
    for (size_t used = 0; count > 0 && used <= count; used++)
        for (unsigned plus = 0; plus < 1u << used; plus++)
            add(to, levels, used, plus, false);
    for (unsigned plus = 0; count > 0 && plus < 1u << count; plus++)
        add(to, levels, count, plus, true);
}

/* ---- when ---- */

/* What tells one leftover filter from another: the identifier, or the topic. 0: it is none. */
static uint64_t leftover_of(const struct mqtt *mqtt, const struct mosquitto_message *packet,
                            const mosquitto_property *properties)
{
    uint32_t identifier;
    if (mosquitto_property_read_varint(properties, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, &identifier, false))
        return mqtt_subscription_is_known(mqtt, identifier) ? 0 : identifier;
    bool is_ours = !mqtt->identifiers_available && mqtt_topic_is_known(mqtt, packet->topic);
    return packet->retain || is_ours ? 0 : replay_digest(packet->topic, NULL, 0);
}

static bool is_new(struct leftover *leftover, uint64_t what)
{
    const unsigned most = sizeof leftover->tried / sizeof leftover->tried[0];
    for (unsigned i = 0; i < leftover->tried_count; i++)
        if (leftover->tried[i] == what)
            return false;
    if (leftover->tried_count == most)
        return false;
    leftover->tried[leftover->tried_count++] = what;
    return true;
}

void mqtt_leftover_look(struct mqtt *mqtt, const struct mosquitto_message *packet,
                        const mosquitto_property *properties)
{
    struct leftover *leftover = &mqtt->subscriptions.leftover;
    if (!mqtt->redelivery.is_settled || leftover->packet_id != 0)
        return;
    uint64_t what = leftover_of(mqtt, packet, properties);
    if (what == 0 || !is_new(leftover, what))
        return;
    struct candidates candidates = {.routes = intake_routes(mqtt->intake)};
    find(&candidates, packet->topic);
    log_notice(EVENT_SUBSCRIPTION_LEFT_OVER,
               "topic %s: the session has a subscription that this queue does not know%s", packet->topic,
               candidates.count > 0 ? "; unsubscribing from all filters that match it and are not configured"
                                    : ", and the topic is too long to find it");
    if (candidates.count > 0)
        mosquitto_unsubscribe_multiple(mqtt->client, &leftover->packet_id, candidates.count,
                                       candidates.filters, NULL);
    for (int i = 0; i < candidates.count; i++)
        free(candidates.filters[i]);
}
