/* deliver/rescan.c - messages returned, where the engine read already.
 *
 * A dead letter that returns to the queue lies before the frontier. Every lane forgets what it
 * knows of the queue from there on, and reads it again, as after a start; so the returned message
 * takes its old place among those that still wait. Messages in flight, and those that failed
 * alone, are kept, and not taken a second time. Parts of batches are forgotten: other messages
 * may stand among theirs now.
 */
#include "deliver/deferred.h"
#include "deliver/lanes.h"
#include "deliver/line.h"

static void forget_lane(struct deliver *deliver, struct lane *lane, int64_t after)
{
    unsigned kept = 0;
    lane->kept_to = 0;
    for (unsigned at = 0; at < lane->count; at++) {
        struct waiting *waiting = ring_at(lane, at);
        if (waiting->id > after && !waiting->suspect && !queue_is_claimed(deliver->queue, waiting->id)) {
            free(lanes_take_copy(deliver, waiting));
            lane->route->waiting--;
            continue;
        }
        lane->kept_to = waiting->id > lane->kept_to ? waiting->id : lane->kept_to;
        *ring_at(lane, kept++) = *waiting;
    }
    if (lane->count > 0 && kept == 0) {
        lane->linger_until_ms = 0;
        lane->route->busy_lanes--;
        lane->route->backend->busy_lanes--;
        line_leave(lane);
    }
    lane->count = kept;
    if (!lane->behind || lane->horizon > after)
        lane->horizon = after;
    lane->behind = lane->feeding = true;
}

void deliver_look_again(struct deliver *deliver, int64_t lowest)
{
    deferred_forget(deliver, lowest);
    deliver_feed(deliver);
    if (lowest > deliver->frontier)
        return; /* it comes there anyway */
    for (size_t r = 0; r < deliver->config->route_count; r++) {
        part_forget_all(&deliver->routes[r]);
        for (size_t i = 0; i < ROUTE_LANES; i++)
            forget_lane(deliver, &deliver->routes[r].lanes[i], lowest - 1);
    }
}
