/* deliver/dead_letter.c - moves a message to the dead letters; see deliver/dead_letter.h. */
#include "deliver/dead_letter.h"

#include "base/clock.h"
#include "base/log.h"
#include "deliver/lanes.h"
#include "deliver/suspect.h"

#include <string.h>

enum {
    ALARM_AFTER_UNFIT = 10,
    LOGGED_MOST = 20, /* one by one within a minute; then their number */
    MINUTE_MS = 60 * 1000,
};

/* Messages that can never be sent do not hold their route: any device could hold it then. */
static void warn_of_unfit(struct route_state *route, const char *reason)
{
    bool path = strcmp(reason, "path") == 0;
    if ((!path && strcmp(reason, "body") != 0) || ++route->unfit_in_row != ALARM_AFTER_UNFIT)
        return;
    log_error(
        EVENT_MESSAGES_UNFIT,
        "route %s: %u messages were dead-lettered (%s), and none was delivered meanwhile: is its %s right "
        "for these %s?",
        route->config->name, route->unfit_in_row, reason, path ? "path" : "body",
        path ? "topics" : "payloads");
}

void dead_letter_log_rest(struct route_state *route, int64_t now_ms)
{
    if (route->dead_in_minute == 0 || now_ms - route->minute_ms < MINUTE_MS)
        return;
    if (route->dead_in_minute > LOGGED_MOST)
        log_warning(EVENT_MESSAGE_DEAD,
                    "route %s: %u more messages within a minute; sluice queue ls --state dead lists them",
                    route->config->name, route->dead_in_minute - LOGGED_MOST);
    route->dead_in_minute = 0;
}

static void log_one(struct route_state *route, int64_t id, const char *topic, const char *reason,
                    const char *error)
{
    int64_t now_ms = clock_uptime_ms();
    dead_letter_log_rest(route, now_ms);
    if (route->dead_in_minute == 0)
        route->minute_ms = now_ms;
    if (++route->dead_in_minute <= LOGGED_MOST)
        log_warning(EVENT_MESSAGE_DEAD, "message %lld (route %s, topic %s): %s: %s", (long long)id,
                    route->config->name, topic, reason, error ? error : "no response is known");
}

int dead_letter_add(struct deliver *deliver, struct lane *lane, int64_t id, unsigned attempts, int status,
                    const char *reason, const char *error)
{
    struct message message;
    int result = queue_fetch(deliver->queue, id, &message);
    cleanup_free char *topic = xstrdup(result == 0 ? message.topic : "");
    queue_fetch_done(deliver->queue);
    suspect_write_first(deliver, lane, id);
    if (result == 0)
        result = queue_dead_letter(deliver->queue, id, attempts, status, reason, error,
                                   queue_now_ms(deliver->queue));
    if (result != 0 && result != -ENOENT)
        return result;
    if (result == 0) {
        deliver->metrics->dead++;
        warn_of_unfit(lane->route, reason);
        log_one(lane->route, id, topic, reason, error);
    }
    lanes_remove(deliver, lane, id);
    return 0;
}
