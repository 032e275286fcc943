/* deliver/dead_letter.c - see deliver/dead_letter.h. */
#include "deliver/dead_letter.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

enum {
    ALARM_AFTER_UNFIT = 10,
    LOGGED_MOST = 20, /* lines in SUMMARY_MS for one route; then one line with the number of the others */
    SUMMARY_MS = 60 * 1000,
};

/* Such messages do not hold their route: any device could hold it. */
static void log_unfit(struct route_state *route, const char *reason)
{
    bool path = strcmp(reason, "path") == 0;
    if ((!path && strcmp(reason, "body") != 0) || ++route->unfit_in_row != ALARM_AFTER_UNFIT)
        return;
    log_error(EVENT_MESSAGES_UNFIT,
              "route %s: %u messages in a row were dead-lettered (%s): is its %s right for these %s?",
              route->config->name, route->unfit_in_row, reason, path ? "path" : "body",
              path ? "topics" : "payloads");
}

static void log_number(struct route_state *route, int64_t now_ms)
{
    if (route->dead == 0 || now_ms - route->dead_since_ms < SUMMARY_MS)
        return;
    if (route->dead > LOGGED_MOST)
        log_warning(EVENT_MESSAGE_DEAD,
                    "route %s: %u more messages within a minute; sluice queue ls --state dead lists them",
                    route->config->name, route->dead - LOGGED_MOST);
    route->dead = 0;
}

void deliver_log_rest(struct deliver *deliver)
{
    for (size_t i = 0; i < deliver->config->route_count; i++)
        log_number(&deliver->routes[i], clock_uptime_ms());
}

/* True when this one gets a line. */
static bool count(struct route_state *route)
{
    int64_t now_ms = clock_uptime_ms();
    log_number(route, now_ms);
    if (route->dead == 0)
        route->dead_since_ms = now_ms;
    return ++route->dead <= LOGGED_MOST;
}

void dead_letter_note_first(struct deliver *deliver, int64_t id, struct suspect *suspect)
{
    struct failure *first = suspect ? &suspect->first : NULL;
    if (!first || !first->reason)
        return;
    queue_blame(deliver->queue, id, 1, first->status, first->reason, first->wall_ms);
    free(first->reason);
    first->reason = NULL;
}

int dead_letter_move(struct deliver *deliver, struct route_state *route, int64_t id, struct suspect *suspect,
                     unsigned attempts, int status, const char *reason, const char *error)
{
    struct message message;
    int result = queue_fetch(deliver->queue, id, &message);
    cleanup_free char *topic = xstrdup(result == 0 ? message.topic : "");
    queue_fetch_done(deliver->queue);
    dead_letter_note_first(deliver, id, suspect);
    if (result == 0)
        result = queue_dead_letter(deliver->queue, id, attempts, status, reason, error,
                                   queue_now_ms(deliver->queue));
    if (result != 0)
        return result == -ENOENT ? 0 : result;
    deliver->metrics->dead++;
    log_unfit(route, reason);
    if (count(route))
        log_warning(EVENT_MESSAGE_DEAD, "message %lld (route %s, topic %s): %s: %s", (long long)id,
                    route->config->name, topic, reason, error ? error : "no response is known");
    return 0;
}
