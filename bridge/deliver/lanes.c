/* deliver/lanes.c - which messages wait in which lane: a window over the queue.
 *
 * The queue may hold millions of messages, memory may not. There is no index by
 * lane either, for each would wear the SD card with every message. So each lane
 * knows the ids of its next 64 messages or two batches, and the queue is read in the
 * order of ids, in bounded steps, each row once or little more than once:
 *
 *    ids   1 ──────────── horizon ─────────────── frontier ────── tail
 *          lanes that are     lanes that are behind      not read yet
 *          full know these    have more of these
 *
 * A lane that is not behind knows everything up to the frontier. One whose ring
 * is full when the frontier passes one of its messages falls behind: from its
 * horizon on there is more. When it gets hungry (a quarter full, or no further batch
 * in it), the rows after its horizon are read again until it is full, and every other
 * lane that is behind takes what it has room for from the same steps.
 */
#include "deliver/lanes.h"
#include "base/clock.h"
#include "deliver/line.h"

#include <assert.h>

enum { STEP_ROWS = 256 };

static bool is_full(const struct lane *lane)
{
    return lane->count == lane->route->lane_ids;
}

/* A message arrives, with which one that failed alone can be compared. */
static void check_with_it(struct deliver *deliver, struct scope *scope, struct round *round)
{
    if (round->alone && scope->suspected) {
        scope->retry_at_ms = clock_uptime_ms();
        deliver_wake_at(deliver, scope->retry_at_ms);
    }
    round->alone = false;
}

struct queue_copy *lanes_take_copy(struct deliver *deliver, struct waiting *waiting)
{
    struct queue_copy *copy = waiting->copy;
    waiting->copy = NULL;
    deliver->copies -= copy != NULL;
    return copy;
}

static void push(struct deliver *deliver, struct lane *lane, int64_t id)
{
    assert(!is_full(lane));
    if (!lane->ring)
        lane->ring = xcalloc(lane->route->lane_ids, sizeof *lane->ring);
    struct queue_copy *copy = deliver->copies < COPIES_MOST ? queue_copy(deliver->queue, id) : NULL;
    deliver->copies += copy != NULL;
    *ring_at(lane, lane->count) = (struct waiting){.id = id, .copy = copy};
    check_with_it(deliver, &lane->route->scope, &lane->route->round);
    check_with_it(deliver, &lane->route->backend->destination.scope, &lane->route->backend->round);
    lane->route->waiting++;
    if (lane->count++ == 0) {
        lane->route->busy_lanes++;
        lane->route->backend->busy_lanes++;
        line_join(deliver, lane);
    }
}

void lanes_remove(struct deliver *deliver, struct lane *lane, int64_t id)
{
    unsigned at = ring_find(lane, id);
    if (at == lane->count)
        return;
    free(lanes_take_copy(deliver, ring_at(lane, at)));
    suspect_free(ring_at(lane, at)->suspect);
    for (; at > 0; at--) /* usually it is the first */
        *ring_at(lane, at) = *ring_at(lane, at - 1);
    lane->first = (lane->first + 1) % lane->route->lane_ids;
    lane->route->waiting--;
    if (--lane->count == 0) {
        lane->linger_until_ms = 0;
        lane->route->busy_lanes--;
        lane->route->backend->busy_lanes--;
        line_leave(lane);
    } else if (ring_at(lane, 0)->suspect) { /* its wait may begin to matter now */
        deliver_wake_at(deliver, ring_at(lane, 0)->suspect->retry_at_ms);
    }
}

static bool is_hungry(const struct lane *lane)
{
    unsigned low = lane->route->lane_ids / 4, batch = lane->route->config->batch;
    return lane->behind && lane->count <= (batch > low ? batch : low);
}

void lanes_feed(struct deliver *deliver, const struct lane *lane)
{
    if (is_hungry(lane))
        deliver_feed(deliver);
}

void lanes_forget(struct deliver *deliver, struct lane *lane, int64_t id)
{
    if (!lane)
        return;
    lanes_remove(deliver, lane, id);
    lanes_feed(deliver, lane);
}

/* The messages of one order key share a lane. Without an order, neighbours do, as many
 * as can share a request. */
static unsigned lane_number(struct route_state *route, const char *topic, int64_t id)
{
    unsigned block = route->config->batch > 0 ? route->config->batch : 1;
    switch (route->config->order) {
    case CONFIG_ORDER_TOPIC:
        return lane_map_find(&route->topics, topic, ROUTE_LANES);
    case CONFIG_ORDER_ROUTE:
        return 0;
    case CONFIG_ORDER_NONE:
        break;
    }
    return (unsigned)((uint64_t)id / block % ROUTE_LANES);
}

/* Rows of a route that the configuration does not have are held. */
struct lane *lanes_of(struct deliver *deliver, const char *route_name, const char *topic, int64_t id)
{
    size_t index = config_find_route(deliver->config, route_name);
    if (index == SIZE_MAX)
        return NULL;
    struct route_state *route = &deliver->routes[index];
    return &route->lanes[lane_number(route, topic, id)];
}

/* What was pushed takes its place among those that were kept. */
static void sort_last(struct lane *lane)
{
    for (unsigned at = lane->count - 1; at > 0; at--) {
        struct waiting *one = ring_at(lane, at), *before = ring_at(lane, at - 1);
        if (before->id < one->id)
            return;
        struct waiting earlier = *one;
        *one = *before;
        *before = earlier;
    }
}

struct step {
    struct deliver *deliver;
    int64_t start;
    int64_t last;
};

/* Whether it was delivered, or is in flight as a deferred message, whose deferral a person ended. */
static bool is_elsewhere(const struct step *step, int64_t id)
{
    struct queue *queue = step->deliver->queue;
    return queue_is_settled(queue, id) || (step->deliver->deferred > 0 && queue_is_claimed(queue, id));
}

static void visit_new(void *context, int64_t id, const char *route_name, const char *topic, bool deferred)
{
    struct step *step = context;
    step->last = id;
    struct lane *lane = deferred ? NULL : lanes_of(step->deliver, route_name, topic, id);
    if (!lane || lane->behind || is_elsewhere(step, id))
        return;
    if (!is_full(lane)) {
        push(step->deliver, lane, id);
    } else {
        lane->behind = true;
        lane->horizon = id - 1;
    }
}

/* Takes the row unless the lane lacks an earlier one: either its horizon is
 * before this step's start, or it was full earlier in this step, which leaves its
 * horizon behind as well. */
static void visit_again(void *context, int64_t id, const char *route_name, const char *topic, bool deferred)
{
    struct step *step = context;
    step->last = id;
    struct lane *lane = deferred ? NULL : lanes_of(step->deliver, route_name, topic, id);
    if (!lane || !lane->behind || id <= lane->horizon)
        return;
    if (lane->horizon < step->start || is_full(lane) || is_elsewhere(step, id) ||
        (id <= lane->kept_to && ring_find(lane, id) < lane->count))
        return;
    push(step->deliver, lane, id);
    if (id <= lane->kept_to)
        sort_last(lane);
    lane->horizon = id;
}

/* The lane that lacks the earliest message of those that ran low and are not full
 * again. */
static struct lane *hungriest(struct deliver *deliver)
{
    struct lane *found = NULL;
    for (size_t r = 0; r < deliver->config->route_count; r++)
        for (size_t i = 0; i < ROUTE_LANES; i++) {
            struct lane *lane = &deliver->routes[r].lanes[i];
            lane->feeding = lane->behind && !is_full(lane) && (lane->feeding || is_hungry(lane));
            if (lane->feeding && (!found || lane->horizon < found->horizon))
                found = lane;
        }
    return found;
}

/* Lanes that took part and still have room lack nothing up to here. */
static void advance_horizons(struct deliver *deliver, int64_t start, int64_t end)
{
    for (size_t r = 0; r < deliver->config->route_count; r++)
        for (size_t i = 0; i < ROUTE_LANES; i++) {
            struct lane *lane = &deliver->routes[r].lanes[i];
            if (!lane->behind || lane->horizon < start || is_full(lane))
                continue;
            if (lane->horizon < end)
                lane->horizon = end;
            if (lane->horizon >= deliver->frontier)
                lane->behind = false;
        }
}

static int step_again(struct deliver *deliver)
{
    struct lane *lane = hungriest(deliver);
    if (!lane)
        return 0;
    struct step step = {.deliver = deliver, .start = lane->horizon, .last = lane->horizon};
    int rows = queue_scan(deliver->queue, step.start, deliver->frontier, STEP_ROWS, visit_again, &step);
    if (rows < 0)
        return rows;
    advance_horizons(deliver, step.start, rows < STEP_ROWS ? deliver->frontier : step.last);
    return 1;
}

static int step_new(struct deliver *deliver)
{
    if (deliver->frontier >= deliver->tail)
        return 0;
    struct step step = {.deliver = deliver, .last = deliver->frontier};
    int rows = queue_scan(deliver->queue, deliver->frontier, deliver->tail, STEP_ROWS, visit_new, &step);
    if (rows < 0)
        return rows;
    deliver->frontier = rows < STEP_ROWS ? deliver->tail : step.last;
    return deliver->frontier < deliver->tail;
}

int lanes_step(struct deliver *deliver)
{
    int again = step_again(deliver);
    int more = again < 0 ? again : step_new(deliver);
    return more < 0 ? more : again || more;
}

void lanes_free(struct route_state *route)
{
    for (size_t i = 0; i < ROUTE_LANES; i++) {
        for (unsigned at = 0; at < route->lanes[i].count; at++) {
            free(ring_at(&route->lanes[i], at)->copy);
            suspect_free(ring_at(&route->lanes[i], at)->suspect);
        }
        free(route->lanes[i].ring);
    }
    lane_map_done(&route->topics);
}
