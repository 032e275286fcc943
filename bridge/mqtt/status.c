/* mqtt/status.c - what is said of the connection to the broker: in the log when
 * it fails, and where people ask.
 *
 * A broker that is away is told of once for each reason, and then now and then; the
 * attempts between are for those who debug.
 */
#include "base/clock.h"
#include "base/log.h"
#include "mqtt/internal.h"
#include "text/outage.h"

#include <string.h>

enum { AGAIN_MS = 10 * 60 * 1000 };

void intake_mqtt_tell_away(struct intake_mqtt *mqtt, const char *why, int64_t wait_ms)
{
    int64_t now_ms = clock_uptime_ms();
    mqtt->retry_at_ms = now_ms + wait_ms;
    if (!why)
        return;
    const struct config_broker *broker = mqtt->config;
    bool news = !mqtt->why || strcmp(mqtt->why, why) != 0;
    if (mqtt->away_ms == 0)
        mqtt->away_ms = now_ms;
    if (news) {
        free(mqtt->why);
        mqtt->why = xstrdup(why);
    }
    cleanup_free char *outage =
        outage_text(&(struct outage){.state = "away",
                                     .since_ms = clock_wall_ms() - (now_ms - mqtt->away_ms),
                                     .why = why,
                                     .waiting = -1,
                                     .wait_ms = wait_ms});
    if (!news && now_ms - mqtt->away_told_ms < AGAIN_MS) {
        log_debug(EVENT_BROKER_AWAY, "%s:%u: %s", broker->host, broker->port, outage);
        return;
    }
    mqtt->away_told_ms = now_ms;
    log_warning(EVENT_BROKER_AWAY, "%s:%u: %s", broker->host, broker->port, outage);
}

void intake_mqtt_tell_connected(struct intake_mqtt *mqtt)
{
    const struct config_broker *broker = mqtt->config;
    log_notice(EVENT_BROKER_CONNECTED, "%s:%u: MQTT %s, %s", broker->host, broker->port,
               mqtt->use_v311 ? "3.1.1" : "5", mqtt->session_present ? "session resumed" : "new session");
    free(mqtt->why);
    mqtt->why = NULL;
    mqtt->away_ms = mqtt->retry_at_ms = 0;
}

static const char *state_of(const struct intake_mqtt *mqtt)
{
    switch (mqtt->link) {
    case LINK_UP:
        return "connected";
    case LINK_CONNECTING:
    case LINK_HANDSHAKE:
        return mqtt->why ? "away" : "connecting";
    default:
        return mqtt->holding_ms != 0 ? "holding" : "away";
    }
}

/* An uptime as a time of the wall clock. */
static int64_t wall_ms(int64_t uptime_ms)
{
    return uptime_ms == 0 ? 0 : clock_wall_ms() - (clock_uptime_ms() - uptime_ms);
}

void intake_mqtt_describe(const struct intake_mqtt *mqtt, struct cJSON *to)
{
    bool holding = mqtt->link == LINK_DOWN && mqtt->holding_ms != 0;
    status_add_text(to, STATUS_BROKER_HOST, mqtt->config->host);
    status_add_number(to, STATUS_BROKER_PORT, mqtt->config->port);
    status_add_text(to, STATUS_BROKER_STATE, state_of(mqtt));
    status_add_time(to, STATUS_BROKER_SINCE,
                    wall_ms(holding              ? mqtt->holding_ms
                            : mqtt->away_ms != 0 ? mqtt->away_ms
                                                 : mqtt->since_ms));
    if (mqtt->link == LINK_UP) {
        status_add_text(to, STATUS_BROKER_PROTOCOL, mqtt->use_v311 ? "3.1.1" : "5");
        return;
    }
    cleanup_free char *full = holding ? queue_full_text(mqtt->queue) : NULL;
    status_add_text(to, STATUS_BROKER_WHY, full ? full : mqtt->why);
    status_add_time(to, STATUS_BROKER_NEXT_TRY, holding ? 0 : wall_ms(mqtt->retry_at_ms));
}
