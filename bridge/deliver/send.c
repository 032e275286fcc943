/* deliver/send.c - see deliver/send.h.
 *
 * A batch begins with the first message of the lane whose turn it is, and takes on from all
 * ready lanes of the route that share its URL, in the order of arrival: a lone message leaves at
 * once, a backlog leaves in large batches, also where it is spread over many topics. All those
 * lanes wait for the response; so where several batches wait, the lanes form groups, one for each
 * batch. A message that failed alone before is sent alone.
 */
#include "deliver/send.h"
#include "base/clock.h"
#include "deliver/blame.h"
#include "deliver/dead_letter.h"
#include "deliver/deferred.h"
#include "deliver/lanes.h"
#include "deliver/line.h"
#include "deliver/settle.h"

#include <errno.h>

/* A request that is being made. The copy is what the message at hand points into. */
struct making {
    struct flight *flight;
    struct queue_copy *copy;
    const char *reason; /* why the first message can never be sent */
    char *why;
};

/* waiting: where it waits in a lane, or NULL. Its copy serves one attempt: after that the row may
 * have changed. */
static int read_message(struct making *making, int64_t id, struct waiting *waiting, struct message *ret)
{
    struct deliver *deliver = making->flight->deliver;
    queue_fetch_done(deliver->queue);
    free(making->copy);
    making->copy = waiting ? lanes_take_copy(deliver, waiting) : NULL;
    if (making->copy && !deliver->fresh) {
        queue_refresh(deliver->queue);
        deliver->fresh = true;
    }
    if (making->copy && queue_copied(deliver->queue, making->copy, ret) == 0)
        return 0;
    return queue_fetch(deliver->queue, id, ret);
}

/* Gives back a copy that was not used. */
static void return_copy(struct making *making, struct waiting *waiting)
{
    if (!waiting || !making->copy)
        return;
    waiting->copy = making->copy;
    making->copy = NULL;
    making->flight->deliver->copies++;
}

/* Its route does not want it. */
static void ignore(struct making *making, struct lane *lane, int64_t id, const struct message *message)
{
    struct deliver *deliver = making->flight->deliver;
    dead_letter_ignore(deliver, making->flight->route, message, making->why);
    free(making->why);
    making->why = NULL;
    queue_fetch_done(deliver->queue);
    settle_later(deliver);
    lanes_forget(deliver, lane, id);
}

static int expire(const struct making *making, struct lane *lane, int64_t id)
{
    struct deliver *deliver = making->flight->deliver;
    queue_fetch_done(deliver->queue);
    int error = queue_expire(deliver->queue, id); /* others too: their lanes find that out */
    if (error == 0)
        lanes_forget(deliver, lane, id);
    return error == 0 ? -ENOENT : error;
}

/* Adds a message. -ENOENT: it is gone; -EXDEV: it cannot share this request; -EMSGSIZE: the
 * request is full; others: as request_add and the queue. */
static int add(struct making *making, struct lane *lane, int64_t id)
{
    struct flight *flight = making->flight;
    struct deliver *deliver = flight->deliver;
    unsigned at = lane ? ring_find(lane, id) : 0;
    struct waiting *waiting = lane && at < lane->count ? ring_at(lane, at) : NULL;
    struct message message;
    int error = read_message(making, id, waiting, &message);
    if (error == -ENOENT)
        lanes_forget(deliver, lane, id); /* a person dropped it, or a limit did */
    if (error != 0)
        return error;
    if (queue_is_expired(deliver->queue, &message))
        return expire(making, lane, id);
    if (flight->count == 0) {
        flight->ids[0] = id;
        flight->lanes[0] = lane;
        flight->attempts = message.attempts;
    }
    if (message.attempts >= flight->route->backend->config->max_attempts) {
        making->reason = "attempts";
        return -EINVAL;
    }
    error = request_add(&deliver->request, &message, queue_age_ms(deliver->queue, &message), &making->reason,
                        &making->why);
    if (error == -ENODATA) {
        ignore(making, lane, id, &message);
        return -ENOENT;
    }
    if (error != 0) {
        return_copy(making, waiting);
        return error;
    }
    flight->ids[flight->count] = id;
    flight->lanes[flight->count++] = lane;
    flight->may_come_again = flight->may_come_again || message.packet_id != 0;
    if (message.target && !flight->target)
        flight->target = xstrdup(message.target);
    return 0;
}

/* Whether another message can be added. What is sent as it is lies in making->copy, or where
 * SQLite has it: reading the next one would overwrite it. */
static bool has_room(const struct making *making, unsigned most)
{
    const struct flight *flight = making->flight;
    return flight->count < most && !flight->deliver->request.alone;
}

/* ---- a batch of several lanes ---- */

struct cursor {
    struct lane *lane;
    unsigned at; /* the place of its next message */
};

/* How many groups the lanes form. */
static size_t group_count(const struct lane *first)
{
    enum { GROUPS_MOST = 4 }; /* more make each batch read from more pages */
    unsigned batches = choose_waiting(first) / first->route->config->batch;
    return batches > GROUPS_MOST ? GROUPS_MOST : batches > 1 ? batches : 1;
}

/* The lanes whose messages may be in a batch with the first one's; the first one first. */
static unsigned list_lanes(struct lane *first, int64_t now_ms, struct cursor cursors[static ROUTE_LANES])
{
    const struct route_state *route = first->route;
    size_t groups = group_count(first), group = (size_t)(first - route->lanes) % groups;
    struct lane *lane;
    unsigned count = 1;
    cursors[0] = (struct cursor){.lane = first};
    TAILQ_FOREACH(lane, &route->backend->line, line)
        if (lane != first && lane->route == route && (size_t)(lane - route->lanes) % groups == group &&
            lane->parts == 0 && lane->not_before_ms <= now_ms && !ring_at(lane, 0)->suspect)
            cursors[count++] = (struct cursor){.lane = lane};
    return count;
}

/* Of the messages after this id, so that a batch is in the order of arrival. A lane whose next one is
 * older has its own turn. */
static struct cursor *oldest(struct cursor *cursors, unsigned count, int64_t after)
{
    struct cursor *found = NULL;
    int64_t id = INT64_MAX;
    for (unsigned i = 0; i < count; i++) {
        const struct lane *lane = cursors[i].lane;
        if (!lane || cursors[i].at >= lane->count)
            continue;
        const struct waiting *waiting = ring_at(lane, cursors[i].at);
        if (waiting->id > after && waiting->id < id && !waiting->suspect) {
            found = &cursors[i];
            id = waiting->id;
        }
    }
    return found;
}

/* The first message of the first lane is in the request. */
static void gather(struct making *making, struct cursor cursors[static ROUTE_LANES], unsigned count,
                   unsigned most)
{
    const struct flight *flight = making->flight;
    struct cursor *next;
    while (has_room(making, most) && (next = oldest(cursors, count, flight->ids[flight->count - 1]))) {
        int error = add(making, next->lane, ring_at(next->lane, next->at)->id);
        free(making->why); /* that is reported when the message is the first one */
        making->why = NULL;
        if (error == 0)
            next->at++;
        else if (error == -EXDEV || error == -EINVAL)
            next->lane = NULL; /* its own turn comes */
        else if (error != -ENOENT)
            return;
    }
}

/* ---- what was chosen ---- */

static int add_lane(struct making *making, const struct work *work, unsigned most)
{
    struct deliver *deliver = making->flight->deliver;
    struct lane *lane = work->lane;
    int error = blame_decide(deliver, lane);
    if (error != 0)
        return error > 0 ? -ENOENT : error;
    const struct suspect *suspect = ring_at(lane, 0)->suspect;
    making->flight->suspect = suspect;
    making->flight->convicted = suspect && suspect->attempts > 0 && suspect_is_relieved(suspect);
    if (most == 1)
        return add(making, lane, ring_at(lane, 0)->id);
    struct cursor cursors[ROUTE_LANES];
    unsigned count = list_lanes(lane, clock_uptime_ms(), cursors);
    /* With one URL for all, the oldest message comes first, whichever lane it is in. */
    bool one_url = path_template_highest_level(lane->route->config->path) == 0;
    struct cursor *first = one_url ? oldest(cursors, count, 0) : &cursors[0];
    error = add(making, first->lane, ring_at(first->lane, 0)->id);
    first->at++;
    if (error == 0)
        gather(making, cursors, count, most);
    return error;
}

/* What is not sent now is a part again. */
static void leave_rest(struct flight *flight, const struct part *part)
{
    struct flight *rest =
        xcalloc(1, sizeof *rest + part->count * (sizeof rest->ids[0] + sizeof rest->lanes[0]));
    rest->route = flight->route;
    rest->lanes = (struct lane **)(void *)(rest->ids + part->count);
    for (unsigned i = 0, sent = 0; i < part->count; i++) {
        while (sent < flight->count && flight->ids[sent] < part->ids[i])
            sent++;
        bool is_sent = sent < flight->count && flight->ids[sent] == part->ids[i];
        if (is_sent || ring_find(part->lanes[i], part->ids[i]) == part->lanes[i]->count)
            continue;
        rest->ids[rest->count] = part->ids[i];
        rest->lanes[rest->count++] = part->lanes[i];
    }
    if (rest->count > 0) {
        part_split(rest, part->scope, true, part->isolate);
        TAILQ_FIRST(&flight->route->parts)->passes = part->passes;
    }
    free(rest);
}

/* What cannot share the request is no member any more: it is sent in its turn. */
static int add_part(struct making *making, const struct work *work, unsigned most)
{
    struct flight *flight = making->flight;
    struct part *part = work->part;
    int error = -ENOENT;
    part_take(flight->route, part);
    flight->convicted = part_is_convicted(part);
    struct part_walk walk = {.at = {0}};
    for (unsigned i = 0; i < part->count && (flight->count == 0 || has_room(making, most)); i++) {
        if (!part_may_send(part, i, work->check, &walk))
            continue;
        int result = add(making, part->lanes[i], part->ids[i]);
        error = flight->count > 0 ? 0 : result;
        if (result == -EXDEV || (result == -EINVAL && flight->count > 0))
            part->ids[i] = 0;
        else if (result != 0 && result != -ENOENT)
            break;
    }
    leave_rest(flight, part);
    free(part);
    return error;
}

static int add_one(struct making *making, const struct work *work)
{
    struct flight *flight = making->flight;
    if (!work->deferred)
        return add(making, work->lane, work->id);
    int result = blame_decide_deferred(flight->deliver, work->deferred);
    if (result != 0)
        return result > 0 ? -ENOENT : result;
    flight->deferred = work->deferred;
    flight->convicted = suspect_is_relieved(&work->deferred->suspect);
    result = add(making, NULL, work->deferred->id);
    if (result == -ENOENT)
        deferred_remove(flight->deliver, work->deferred);
    return result;
}

static int make_request(struct making *making, const struct work *work, unsigned most)
{
    struct flight *flight = making->flight;
    const struct route_state *route = flight->route;
    struct request *request = &flight->deliver->request;
    request_begin(request, flight->deliver->config->gateway, route->backend->config, route->config,
                  route->batch_bytes);
    int error = work->kind == WORK_LANE   ? add_lane(making, work, most)
                : work->kind == WORK_PART ? add_part(making, work, most)
                                          : add_one(making, work);
    if (error == 0) {
        free(making->why);
        making->why = NULL;
        error = request_finish(request, &making->reason, &making->why);
    }
    if (error == 0) {
        flight->body_bytes = request->full_bytes;
        flight->repaired = request->repaired;
    }
    return error;
}

/* ---- start and end ---- */

/* The first message can never be sent. */
static int dead_letter(const struct making *making, const struct work *work)
{
    struct flight *flight = making->flight;
    struct lane *lane = flight->lanes[0];
    struct suspect *suspect = flight->deferred ? &flight->deferred->suspect : NULL;
    unsigned at = lane ? ring_find(lane, flight->ids[0]) : 0;
    if (lane && at < lane->count)
        suspect = ring_at(lane, at)->suspect;
    unsigned attempts =
        suspect && suspect->attempts > flight->attempts ? suspect->attempts : flight->attempts;
    const char *error = making->why ? making->why : suspect ? suspect->last.reason : NULL;
    int result = dead_letter_move(flight->deliver, flight->route, flight->ids[0], suspect, attempts,
                                  suspect ? suspect->last.status : 0, making->reason, error);
    if (result == 0 && lane)
        lanes_remove(flight->deliver, lane, flight->ids[0]);
    if (result == 0 && work->deferred)
        deferred_remove(flight->deliver, work->deferred);
    return result;
}

void send_drop(void *context)
{
    struct flight *flight = context;
    queue_unclaim(flight->deliver->queue, &flight->claim);
    free(flight->target);
    free(flight);
}

static void take_off(struct flight *flight, const struct work *work, bool isolated, transfer_done_fn *done)
{
    struct deliver *deliver = flight->deliver;
    struct backend_state *backend = flight->route->backend;
    flight->isolated = backend->isolated = isolated && backend->destination.in_flight == 0;
    flight->backend_probe = destination_started(&backend->destination);
    flight->route_probe = scope_started(&flight->route->scope);
    rate_take(&backend->rate, flight->count, clock_uptime_ms());
    queue_claim(deliver->queue, &flight->claim, flight->ids, flight->count);
    for (unsigned i = 0; i < flight->count; i++) {
        struct lane *lane = flight->lanes[i];
        if (!lane)
            continue;
        line_leave(lane);
        lane->in_flight = true;
        lane->route->flying++;
        lane->linger_until_ms = 0;
    }
    if (work->deep_of)
        work->deep_of->deep--;
    flight->route->look_count = 0;
    backend->suspects_in_flight += flight->suspect;
    if (work->deferred) {
        work->deferred->in_flight = true;
        work->deferred->started_ms = clock_uptime_ms();
        backend->deferred_in_flight++;
    }
    deliver->in_flight++;
    deliver->metrics->requests++;
    transfer_start(backend->transfer, &deliver->request, done, flight);
}

int send_start(struct deliver *deliver, const struct work *work, transfer_done_fn *done)
{
    unsigned most = choose_count(work);
    bool isolated = choose_must_isolate(work);
    struct flight *flight =
        xcalloc(1, sizeof *flight + most * (sizeof flight->ids[0] + sizeof flight->lanes[0]));
    flight->deliver = deliver;
    flight->route = work->deferred ? work->deferred->route : work->lane->route;
    flight->lanes = (struct lane **)(void *)(flight->ids + most);
    struct making making = {.flight = flight};
    int error = make_request(&making, work, most);
    if (error == 0 && work->lingers && flight->count < flight->route->config->batch &&
        flight->count == choose_waiting(work->lane))
        error = -EAGAIN;
    bool started = error == 0;
    if (started)
        take_off(flight, work, isolated, done);
    request_trim(&deliver->request);
    queue_fetch_done(deliver->queue);
    if (error == -EINVAL)
        error = dead_letter(&making, work);
    if (!started && (error == 0 || error == -ENOENT || error == -EXDEV || error == -EMSGSIZE))
        error = -ENOMSG;
    if (!started) {
        free(flight->target);
        free(flight);
    }
    free(making.copy);
    free(making.why);
    return error;
}
