/* mqtt/silence.c - see mqtt/silence.h. */
#include "mqtt/silence.h"
#include "base/clock.h"
#include "message/topic.h"

enum { MATCHED_BEFORE_S = 7 * 24 * 3600 }; /* at least, for a filter that is right: its publisher may pause */

void mqtt_silence_received(struct mqtt *mqtt, const char *topic)
{
    struct subscriptions *subscriptions = &mqtt->subscriptions;
    const struct route_table *routes = intake_routes(mqtt->intake);
    for (size_t i = 0; i < subscriptions->filter_count; i++) {
        struct filter *filter = &subscriptions->filters[i];
        if (filter->is_heard)
            continue;
        filter->is_heard = topic_matches(route_table_filter(routes, i), topic);
        if (!filter->is_heard && filter->others_ms == 0)
            filter->others_ms = clock_uptime_ms();
        if (filter->is_heard && !filter->matched)
            filter->matched = filter->matched_due = subscriptions->save_due = true;
    }
}

void mqtt_silence_retained(struct mqtt *mqtt, const char *topic, const struct route_copy *copy)
{
    struct subscriptions *subscriptions = &mqtt->subscriptions;
    for (size_t i = 0; copy->ranks && i < copy->filter_count; i++)
        subscriptions->filters[copy->filters[i]].retained++;
    if (copy->ranks)
        return;
    for (size_t i = 0; i < subscriptions->filter_count; i++)
        if (topic_matches(route_table_filter(intake_routes(mqtt->intake), i), topic))
            subscriptions->filters[i].retained++;
}

bool mqtt_is_silent(const struct mqtt *mqtt, size_t filter, int64_t now_ms)
{
    const struct filter *f = &mqtt->subscriptions.filters[filter];
    uint32_t after_s = route_table_filter_silent_after_s(intake_routes(mqtt->intake), filter);
    if (f->is_heard || f->others_ms == 0 || after_s == UINT32_MAX)
        return false;
    if (f->matched && after_s < MATCHED_BEFORE_S)
        after_s = MATCHED_BEFORE_S;
    return now_ms - f->others_ms >= (int64_t)after_s * 1000;
}
