/* deliver/lanes.c - which messages wait in which lane: a window over the queue.
 *
 * The queue may hold millions of messages, memory may not. There is no index by
 * lane either, because each would wear the SD card with every message. So each lane
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

#include "deliver/line.h"
#include "deliver/suspect.h"

#include <assert.h>

enum {
    STEP_ROWS = 256,
    COPIES_MOST = 4096, /* of all lanes */
};

static bool is_full(const struct lane *lane)
{
    return lane->count == lane->route->lane_ids;
}

static bool has(const struct lane *lane, int64_t id)
{
    unsigned at = 0;
    while (at < lane->count && lane_at(lane, at)->id != id)
        at++;
    return at < lane->count;
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
    *lane_at(lane, lane->count) = (struct waiting){.id = id, .copy = copy};
    if (lane->count++ == 0) {
        lane->route->busy_lanes++;
        lane->route->backend->busy_lanes++;
        line_join(deliver, lane);
    }
}

/* The last message left it. */
static void on_empty(struct lane *lane)
{
    lane->linger_until_ms = 0;
    lane->look_count = 0;
    lane->route->busy_lanes--;
    lane->route->backend->busy_lanes--;
    line_leave(lane);
}

void lanes_remove(struct deliver *deliver, struct lane *lane, int64_t id)
{
    unsigned at = 0;
    while (at < lane->count && lane_at(lane, at)->id != id)
        at++;
    assert(at < lane->count);
    free(lanes_take_copy(deliver, lane_at(lane, at)));
    for (; at > 0; at--) /* usually it is the first */
        *lane_at(lane, at) = *lane_at(lane, at - 1);
    lane->first = (lane->first + 1) % lane->route->lane_ids;
    if (lane->suspect.id == id)
        suspect_clear(lane);
    if (--lane->count == 0)
        on_empty(lane);
}

bool lanes_is_hungry(const struct lane *lane)
{
    unsigned low = lane->route->lane_ids / 4, batch = lane->route->config->batch;
    return lane->behind && lane->count <= (batch > low ? batch : low);
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

/* Rows of a route that the configuration does not have are held: no lane. */
static struct lane *lane_of(struct deliver *deliver, const char *route_name, const char *topic, int64_t id)
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
        struct waiting *one = lane_at(lane, at), *before = lane_at(lane, at - 1);
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

static void visit_new(void *context, int64_t id, const char *route_name, const char *topic)
{
    struct step *step = context;
    step->last = id;
    struct lane *lane = lane_of(step->deliver, route_name, topic, id);
    if (!lane || lane->behind || queue_is_settled(step->deliver->queue, id))
        return;
    if (!is_full(lane)) {
        push(step->deliver, lane, id);
    } else {
        lane->behind = true;
        lane->horizon = id - 1;
    }
}

/* Takes the row unless the lane lacks an earlier one: either its horizon is
 * before this step's start, or it was full earlier in this step, and then its
 * horizon did not move on either. */
static void visit_again(void *context, int64_t id, const char *route_name, const char *topic)
{
    struct step *step = context;
    step->last = id;
    struct lane *lane = lane_of(step->deliver, route_name, topic, id);
    if (!lane || !lane->behind || id <= lane->horizon)
        return;
    if (lane->horizon < step->start || is_full(lane) || queue_is_settled(step->deliver->queue, id) ||
        (id <= lane->kept_to && has(lane, id)))
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
            lane->feeding = lane->behind && !is_full(lane) && (lane->feeding || lanes_is_hungry(lane));
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

/* ---- returned messages ---- */

static void forget(struct deliver *deliver, struct lane *lane, int64_t after)
{
    unsigned kept = 0;
    lane->kept_to = 0;
    for (unsigned at = 0; at < lane->count; at++) {
        struct waiting *waiting = lane_at(lane, at);
        if (waiting->id > after && !queue_is_claimed(deliver->queue, waiting->id)) {
            free(lanes_take_copy(deliver, waiting));
            continue;
        }
        lane->kept_to = waiting->id > lane->kept_to ? waiting->id : lane->kept_to;
        *lane_at(lane, kept++) = *waiting;
    }
    if (lane->count > 0 && kept == 0)
        on_empty(lane);
    lane->count = kept;
    if (lane->halves)
        lane->halves->count = 0;
    if (lane->suspect.id > after)
        suspect_clear(lane);
    if (!lane->behind || lane->horizon > after)
        lane->horizon = after;
    lane->behind = lane->feeding = true;
}

bool lanes_forget(struct deliver *deliver, int64_t lowest)
{
    if (lowest > deliver->frontier)
        return false;
    for (size_t r = 0; r < deliver->config->route_count; r++)
        for (size_t i = 0; i < ROUTE_LANES; i++)
            forget(deliver, &deliver->routes[r].lanes[i], lowest - 1);
    return true;
}

/* ---- life ---- */

void lanes_init(struct route_state *route)
{
    enum { IDS_LEAST = 64 };
    route->lane_ids = 2 * route->config->batch > IDS_LEAST ? 2 * route->config->batch : IDS_LEAST;
    for (size_t i = 0; i < ROUTE_LANES; i++)
        route->lanes[i].route = route;
}

void lanes_free(struct route_state *route)
{
    for (size_t i = 0; i < ROUTE_LANES; i++) {
        for (unsigned at = 0; at < route->lanes[i].count; at++)
            free(lane_at(&route->lanes[i], at)->copy);
        free(route->lanes[i].ring);
        free(route->lanes[i].halves);
        suspect_clear(&route->lanes[i]);
    }
    lane_map_done(&route->topics);
}
