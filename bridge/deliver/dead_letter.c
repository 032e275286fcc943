/* deliver/dead_letter.c - see deliver/dead_letter.h. */
#include "deliver/dead_letter.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum {
    ALARM_AFTER_UNFIT = 10,
    IGNORED_EVERY_MS = 60 * 60 * 1000, /* that is as configured */
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
    hour_note(&route->hour, &(struct hour_count){.dead = 1}, clock_uptime_ms());
    log_unfit(route, reason);
    log_warning(EVENT_MESSAGE_DEAD, "route %s: message %lld (topic %s): %s: %s", route->config->name,
                (long long)id, topic, reason, error ? error : "no response is known");
    return 0;
}

/* It is deleted as if it was delivered: until its acknowledgement is confirmed, its row
 * identifies a redelivery. */
void dead_letter_ignore(struct deliver *deliver, struct route_state *route, const struct message *message,
                        const char *why)
{
    queue_settle(deliver->queue, message->id, message->packet_id != 0);
    deliver->metrics->ignored++;
    uint64_t ignored = throttle_due(&route->ignored, 1, clock_uptime_ms(), IGNORED_EVERY_MS);
    if (ignored > 0)
        log_notice(EVENT_MESSAGE_IGNORED,
                   "route %s: %" PRIu64
                   " messages were ignored (not_object = ignore); the last one: topic %s: %s",
                   route->config->name, ignored, message->topic, why);
}
