/* mqtt/status.c - see mqtt/status.h. */
#include "mqtt/status.h"
#include "base/clock.h"
#include "base/log.h"
#include "mqtt/acks.h"
#include "mqtt/internal.h"
#include "mqtt/silence.h"
#include "text/outage.h"

#include <string.h>

enum { REPORT_EVERY_MS = 10 * 60 * 1000 };

void mqtt_report_away(struct mqtt *mqtt, const char *why, int64_t wait_ms)
{
    int64_t now_ms = clock_uptime_ms();
    mqtt->retry_at_ms = now_ms + wait_ms;
    if (!why)
        return;
    const struct config_broker *broker = mqtt->config;
    if (mqtt->away_ms == 0)
        mqtt->away_ms = now_ms;
    if (!mqtt->why || strcmp(mqtt->why, why) != 0) {
        free(mqtt->why);
        mqtt->why = xstrdup(why);
        mqtt->away_reports = (struct throttle){0};
    }
    cleanup_free char *outage =
        outage_text(&(struct outage){.state = "away",
                                     .since_ms = clock_wall_ms() - (now_ms - mqtt->away_ms),
                                     .why = why,
                                     .waiting = -1,
                                     .wait_ms = wait_ms});
    bool quiet = mqtt->clash_logged; /* each connection ends so */
    if (!quiet && throttle_due(&mqtt->away_reports, 1, now_ms, REPORT_EVERY_MS) > 0)
        log_warning(EVENT_BROKER_AWAY, "%s:%u: %s", broker->host, broker->port, outage);
    else
        log_debug(EVENT_BROKER_AWAY, "%s:%u: %s", broker->host, broker->port, outage);
}

void mqtt_report_connected(struct mqtt *mqtt)
{
    const struct config_broker *broker = mqtt->config;
    bool quiet = mqtt->clash_logged || (mqtt->is_routine && mqtt->session_present);
    log_write(quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_NOTICE, EVENT_BROKER_CONNECTED, "%s:%u: MQTT %s, %s",
              broker->host, broker->port, mqtt->use_v311 ? "3.1.1" : "5",
              mqtt->session_present ? "session resumed" : "new session");
    free(mqtt->why);
    mqtt->why = NULL;
    mqtt->away_ms = mqtt->retry_at_ms = 0;
}

void mqtt_report_clash(struct mqtt *mqtt)
{
    const struct config_broker *broker = mqtt->config;
    if (mqtt->brief >= CLASH_AFTER && !mqtt->clash_logged)
        log_warning(EVENT_CLIENT_ID_CLASH,
                    "%s:%u: it ended %u connections in a row soon after it had accepted them: does another "
                    "client use client_id %s? Each client needs a client_id of its own",
                    broker->host, broker->port, mqtt->brief, broker->client_id);
    if (mqtt->brief == 0 && mqtt->clash_logged && mqtt->link == LINK_UP)
        log_notice(EVENT_BROKER_CONNECTED, "%s:%u: the connection lasts again", broker->host, broker->port);
    mqtt->clash_logged = mqtt->brief >= CLASH_AFTER;
}

/* Since when (uptime) we do not connect, because the queue takes nothing; 0: it does. */
static int64_t holding_ms(const struct mqtt *mqtt)
{
    return mqtt->link != LINK_DOWN ? 0 : mqtt->full_ms != 0 ? mqtt->full_ms : mqtt->held_ms;
}

static const char *state_of(const struct mqtt *mqtt)
{
    switch (mqtt->link) {
    case LINK_UP:
        return "connected";
    case LINK_CONNECTING:
    case LINK_HANDSHAKE:
        return mqtt->why ? "away" : "connecting";
    default:
        return holding_ms(mqtt) != 0 ? "holding" : "away";
    }
}

/* An uptime as a time of the wall clock. */
static int64_t wall_ms(int64_t uptime_ms)
{
    return uptime_ms == 0 ? 0 : clock_wall_ms() - (clock_uptime_ms() - uptime_ms);
}

static void add_subscription(const struct mqtt *mqtt, size_t number, struct cJSON *to)
{
    const struct filter *filter = &mqtt->subscriptions.filters[number];
    const struct route_table *routes = intake_routes(mqtt->intake);
    const struct config_route *route = route_table_filter_route(routes, number);
    status_add_text(to, STATUS_SUBSCRIPTION_FILTER, route_table_filter(routes, number));
    status_add_text(to, STATUS_SUBSCRIPTION_ROUTE, route->name);
    if (filter->is_answered && !filter->why)
        status_add_number(to, STATUS_SUBSCRIPTION_QOS, filter->qos);
    status_add_text(to, STATUS_SUBSCRIPTION_WHY, filter->why);
    status_add_number(to, STATUS_SUBSCRIPTION_RETAINED,
                      route_table_filter_reports_retained(routes, number) ? (int64_t)filter->retained : 0);
    status_add_bool(to, STATUS_SUBSCRIPTION_SILENT, mqtt_is_silent(mqtt, number, clock_uptime_ms()));
    status_add_time(to, STATUS_SUBSCRIPTION_SILENT_SINCE, filter->is_heard ? 0 : wall_ms(filter->others_ms));
}

static void add_undelivered(const struct ack_topic *ack, struct cJSON *list)
{
    const char *why = mqtt_ack_failure(ack);
    if (!why)
        return;
    struct cJSON *to = status_append(list);
    status_add_text(to, STATUS_UNDELIVERED_DEVICE, ack->topic);
    status_add_text(to, STATUS_UNDELIVERED_WHY, why);
}

void mqtt_describe(const struct mqtt *mqtt, struct cJSON *to)
{
    status_add_text(to, STATUS_BROKER_CLIENT_ID, mqtt->config->client_id);
    status_add_bool(to, STATUS_BROKER_CLASH, mqtt->brief >= CLASH_AFTER);
    struct cJSON *subscriptions = status_add_list(to, STATUS_SUBSCRIPTIONS);
    for (size_t i = 0; i < mqtt->subscriptions.filter_count; i++)
        add_subscription(mqtt, i, status_append(subscriptions));
    struct cJSON *acks = status_add_list(to, STATUS_UNDELIVERED);
    for (size_t i = 0; i < mqtt->acks.count; i++)
        add_undelivered(&mqtt->acks.topics[i], acks);
    bool holding = holding_ms(mqtt) != 0;
    status_add_text(to, STATUS_BROKER_HOST, mqtt->config->host);
    status_add_number(to, STATUS_BROKER_PORT, mqtt->config->port);
    status_add_text(to, STATUS_BROKER_STATE, state_of(mqtt));
    status_add_time(to, STATUS_BROKER_SINCE,
                    wall_ms(holding              ? holding_ms(mqtt)
                            : mqtt->away_ms != 0 ? mqtt->away_ms
                                                 : mqtt->since_ms));
    const struct queue_session *session = &mqtt->protocol.session;
    if (session->lost_until_ms != 0) {
        status_add_time(to, STATUS_BROKER_LOST_SINCE, session->lost_since_ms);
        status_add_time(to, STATUS_BROKER_LOST_UNTIL, session->lost_until_ms);
    }
    if (mqtt->link == LINK_UP) {
        status_add_text(to, STATUS_BROKER_PROTOCOL, mqtt->use_v311 ? "3.1.1" : "5");
        return;
    }
    cleanup_free char *full = mqtt->full_ms != 0 ? queue_full_text(mqtt->queue) : NULL;
    status_add_text(to, STATUS_BROKER_WHY,
                    !holding ? mqtt->why
                    : full   ? full
                             : batch_error_text(mqtt->storage_error));
    status_add_time(to, STATUS_BROKER_NEXT_TRY, holding ? 0 : wall_ms(mqtt->retry_at_ms));
}
