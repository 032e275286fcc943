/* deliver/send.c - what a lane sends: its first message, or a batch of the first ones.
 *
 * A batch is what waits at the head of one lane for one URL: a lone message leaves at
 * once, a backlog leaves in large batches. Suspected messages are sent alone: the
 * probe of a suspected scope is one message, and so is one that failed before. Of a
 * batch that failed, halves are sent (deliver/bisect.h).
 */
#include "deliver/send.h"

#include "base/clock.h"
#include "deliver/dead_letter.h"
#include "deliver/lanes.h"
#include "deliver/suspect.h"

#include <errno.h>

/* ---- what ---- */

/* Whether the first message of the lane failed this often, and nothing passed in between,
 * nor since. */
static bool is_tried(const struct lane *lane, unsigned times)
{
    const struct suspect *suspect = &lane->suspect;
    return lane->count == 0 || (suspect->id == lane_at(lane, 0)->id && suspect->unrelieved >= times &&
                                suspect->passes == suspect->scope->passes);
}

/* Whether it is time to try other messages than the first ones of a suspected scope: the
 * only lane with work tried its first message max_attempts times in vain, or every lane
 * did so twice as often. The first messages may be at fault then, and nothing else
 * would ever show it. It is the one case in which a message may overtake. */
static bool is_stuck(const struct deliver *deliver, const struct lane *lane)
{
    const struct route_state *route = lane->route;
    unsigned patience = route->backend->config->max_attempts;
    bool whole_backend = route->backend->destination.scope.suspected;
    if (!whole_backend && !route->scope.suspected)
        return false;
    if ((whole_backend ? route->backend->busy_lanes : route->busy_lanes) == 1)
        return is_tried(lane, patience);
    for (size_t r = 0; r < deliver->config->route_count; r++) {
        const struct route_state *other = &deliver->routes[r];
        if (other != route && (!whole_backend || other->backend != route->backend))
            continue;
        for (size_t i = 0; i < ROUTE_LANES; i++)
            if (!is_tried(&other->lanes[i], 2 * patience))
                return false;
    }
    return true;
}

/* The place of the one message to send. Usually the first; where that is stuck, it
 * takes turns with the later ones. */
static unsigned pick(const struct deliver *deliver, const struct lane *lane)
{
    unsigned position = 0;
    if (lane->count > 1 && is_stuck(deliver, lane)) {
        unsigned turn = lane->suspect.unrelieved - lane->route->backend->config->max_attempts;
        if (turn % 2 == 0)
            position = 1 + turn / 2 % (lane->count - 1);
    }
    return position;
}

unsigned send_most(const struct lane *lane)
{
    const struct route_state *route = lane->route;
    unsigned most = route->config->batch;
    if (most <= 1 || suspect_is_first(lane) || route->scope.suspected ||
        route->backend->destination.scope.suspected)
        return 1;
    unsigned rate_bound = rate_most(&route->backend->rate);
    most = most < rate_bound ? most : rate_bound;
    return most < lane->count || lane->count == 0 ? most : lane->count;
}

/* The part of a batch that failed that the lane's first message belongs to, or NULL. */
static const struct half *next_half(const struct lane *lane)
{
    return lane->halves ? halves_next(lane->halves, lane_at(lane, 0)->id) : NULL;
}

/* A connection that breaks takes every request on it along. Those are tried again
 * one by one, with nothing else on the connection: only so it shows which of
 * them breaks it. */
bool send_must_isolate(const struct lane *lane)
{
    if (suspect_is_first(lane))
        return lane->suspect.isolate;
    const struct half *half = next_half(lane);
    return half && half->isolate;
}

/* ---- the request ---- */

static int64_t age_ms(const struct queue *queue, const struct message *message)
{
    if (message->this_boot)
        return clock_uptime_ms() - message->uptime_ms;
    if (message->clock_synchronised && queue_clock_is_right(queue))
        return queue_now_ms(queue) - message->received_ms;
    return -1;
}

/* A request that is being made. The copy is what the message at hand points into. */
struct making {
    struct flight *flight;
    struct queue_copy *copy;
    const char *reason; /* why the first message can never be sent */
    char *why;
};

static int read_message(struct making *making, struct waiting *waiting, struct message *ret)
{
    struct deliver *deliver = making->flight->deliver;
    queue_fetch_done(deliver->queue);
    free(making->copy);
    making->copy = lanes_take_copy(deliver, waiting); /* for one attempt: after that the row may hold more */
    if (making->copy && !deliver->fresh) {
        queue_refresh(deliver->queue);
        deliver->fresh = true;
    }
    if (making->copy && queue_copied(deliver->queue, making->copy, ret) == 0)
        return 0;
    return queue_fetch(deliver->queue, waiting->id, ret);
}

/* Adds the message at this place of the lane. -ENOENT: it is gone, and all after it moved
 * up. Other errors: the request ends before it. */
static int add_message(struct making *making, unsigned position)
{
    struct flight *flight = making->flight;
    struct deliver *deliver = flight->deliver;
    struct lane *lane = flight->lane;
    struct waiting *waiting = lane_at(lane, position);
    int64_t id = waiting->id;
    struct message message;
    int error = read_message(making, waiting, &message);
    if (error == -ENOENT) /* a person dropped it, or a limit did */
        lanes_remove(deliver, lane, id);
    if (error != 0)
        return error;
    unsigned attempts = message.attempts;
    if (flight->count == 0) {
        flight->ids[0] = id;
        flight->attempts = attempts;
        suspect_count(flight);
        attempts = flight->attempts;
    }
    if (attempts >= lane->route->backend->config->max_attempts) {
        making->reason = "attempts";
        return -EINVAL;
    }
    error = request_add(&deliver->request, &message, age_ms(deliver->queue, &message), &making->reason,
                        &making->why);
    if (error == 0) {
        flight->ids[flight->count++] = id;
        flight->may_come_again = flight->may_come_again || message.packet_id != 0;
        if (message.target && !flight->target)
            flight->target = xstrdup(message.target);
    }
    return error;
}

/* Whether another message can be added. What is sent as it is lies in making->copy, or
 * where SQLite has it: reading the next one would overwrite that. */
static bool has_room(const struct making *making, unsigned most)
{
    const struct flight *flight = making->flight;
    return flight->count == 0 || (flight->count < most && !flight->deliver->request.alone);
}

/* Adds what is there, up to `most` messages. The error is that of the first one. */
static int add_messages(struct making *making, unsigned most)
{
    struct flight *flight = making->flight;
    struct lane *lane = flight->lane;
    const struct half *half = NULL;
    unsigned start = most == 1 ? pick(flight->deliver, lane) : 0;
    int error = 0;
    while (has_room(making, most) && start + flight->count < lane->count) {
        unsigned position = start + flight->count;
        if (flight->count == 0) /* again after one that was gone */
            half = next_half(lane);
        else if (half && lane_at(lane, position)->id > half->end_id)
            break;
        error = add_message(making, position);
        if (error != 0 && error != -ENOENT)
            break;
    }
    if (flight->count > 0) { /* what is wrong with the next one is reported when it is the first */
        free(making->why);
        making->why = NULL;
    }
    if (start == 0 && !suspect_is_first(lane))
        flight->blamed = halves_is_to_blame(half);
    return flight->count > 0 ? 0 : error != 0 ? error : -ENOENT;
}

/* The first message can never be sent. */
static int reject(const struct making *making)
{
    const struct flight *flight = making->flight;
    const struct suspect *suspect = &flight->lane->suspect;
    bool known = suspect->id == flight->ids[0];
    return dead_letter_add(flight->deliver, flight->lane, flight->ids[0], flight->attempts,
                           known ? suspect->last.status : 0, making->reason,
                           making->why ? making->why
                           : known     ? suspect->last.reason
                                       : NULL);
}

static int make_request(struct making *making, unsigned most)
{
    struct flight *flight = making->flight;
    const struct route_state *route = flight->lane->route;
    struct request *request = &flight->deliver->request;
    request_begin(request, flight->deliver->config->gateway, route->backend->config, route->config,
                  route->batch_bytes);
    int error = add_messages(making, most);
    if (error == 0)
        error = request_finish(request, &making->reason, &making->why);
    if (error == 0)
        flight->body_bytes = request->full_bytes;
    return error;
}

/* From here on it is in flight. */
static void start(struct flight *flight, transfer_done_fn *done)
{
    struct deliver *deliver = flight->deliver;
    struct lane *lane = flight->lane;
    struct backend_state *backend = lane->route->backend;
    flight->isolated = send_must_isolate(lane) && backend->destination.in_flight == 0;
    backend->isolated = flight->isolated;
    flight->backend_probe = destination_started(&backend->destination);
    flight->route_probe = scope_started(&lane->route->scope);
    rate_take(&backend->rate, flight->count, clock_uptime_ms());
    queue_claim(deliver->queue, &flight->claim, flight->ids, flight->count);
    lane->in_flight = true;
    lane->linger_until_ms = 0;
    lane->look_count = 0;
    deliver->in_flight++;
    deliver->metrics->requests++;
    transfer_start(backend->transfer, &deliver->request, done, flight);
}

int send_next(struct deliver *deliver, struct lane *lane, bool lingers, transfer_done_fn *done)
{
    unsigned most = send_most(lane);
    struct flight *flight = xcalloc(1, sizeof *flight + most * sizeof flight->ids[0]);
    flight->deliver = deliver;
    flight->lane = lane;
    struct making making = {.flight = flight};
    int error = make_request(&making, most);
    if (error == 0 && lingers && flight->count == lane->count)
        error = -EAGAIN;
    if (error == 0)
        start(flight, done);
    request_trim(&deliver->request);
    queue_fetch_done(deliver->queue);
    if (error == -EINVAL)
        error = reject(&making);
    if (error == -ENOENT || flight->claim.count == 0)
        error = error < 0 && error != -ENOENT ? error : -ENOMSG;
    if (error != 0) {
        free(flight->target);
        free(flight);
    }
    free(making.copy);
    free(making.why);
    return error;
}

void send_drop(void *context)
{
    struct flight *flight = context;
    queue_unclaim(flight->deliver->queue, &flight->claim);
    free(flight->target);
    free(flight);
}
