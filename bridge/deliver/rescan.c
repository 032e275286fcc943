/* deliver/rescan.c - messages came back where the engine has been already.
 *
 * A dead letter that a person brings back lies before the frontier. Every lane forgets
 * what it knows of the queue from there on, but for what is under way, and reads it
 * again, as after a start; so what came back takes its old place among those that still
 * wait. What is under way is kept, and not taken a second time. What is
 * held against the first one, or a batch that is being taken apart, starts over: others
 * may stand before it, or among its parts, now.
 */
#include "deliver/internal.h"

static void forget_lane(struct deliver *deliver, struct lane *lane, int64_t after)
{
    unsigned kept = 0;
    lane->kept_to = 0;
    for (unsigned at = 0; at < lane->count; at++) {
        struct waiting *waiting = deliver_lanes_at(lane, at);
        if (waiting->id > after && !queue_is_claimed(deliver->queue, waiting->id)) {
            free(deliver_lanes_take_copy(deliver, waiting));
            continue;
        }
        lane->kept_to = waiting->id > lane->kept_to ? waiting->id : lane->kept_to;
        *deliver_lanes_at(lane, kept++) = *waiting;
    }
    if (lane->count > 0 && kept == 0) {
        lane->linger_until_ms = 0;
        lane->look_count = 0;
        lane->route->busy_lanes--;
        lane->route->backend->busy_lanes--;
        if (lane->in_line)
            TAILQ_REMOVE(&lane->route->backend->line, lane, line);
        lane->in_line = false;
    }
    lane->count = kept;
    if (lane->halves)
        lane->halves->count = 0;
    if (lane->suspect.id > after)
        deliver_suspect_clear(&lane->suspect);
    if (!lane->behind || lane->horizon > after)
        lane->horizon = after;
    lane->behind = lane->feeding = true;
}

void deliver_look_again(struct deliver *deliver, int64_t lowest)
{
    if (lowest > deliver->frontier)
        return; /* it comes there anyway */
    for (size_t r = 0; r < deliver->config->route_count; r++)
        for (size_t i = 0; i < ROUTE_LANES; i++)
            forget_lane(deliver, &deliver->routes[r].lanes[i], lowest - 1);
    deliver_feed(deliver);
}
