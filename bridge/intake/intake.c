/* intake/intake.c - the one door in. See intake/intake.h. */
#include "intake/intake.h"
#include "base/clock.h"
#include "base/log.h"
#include "intake/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

struct intake *intake_new(struct queue *queue, const struct config *config, struct metrics *metrics,
                          intake_released_fn *released, void *context)
{
    struct intake *intake = xcalloc(1, sizeof *intake);
    intake->queue = queue;
    intake->metrics = metrics;
    intake->released = released;
    intake->devices = devices_new(queue, metrics);
    intake->context = context;
    intake_reconfigure(intake, config);
    return intake;
}

void intake_free(struct intake *intake)
{
    if (!intake)
        return;
    route_table_free(intake->routes);
    devices_free(intake->devices);
    free(intake);
}

void intake_reconfigure(struct intake *intake, const struct config *config)
{
    assert(!intake->open);
    route_table_free(intake->routes);
    intake->config = config;
    intake->routes = route_table_new(config);
}

const struct route_table *intake_routes(const struct intake *intake)
{
    return intake->routes;
}

struct taking {
    struct intake *intake;
    struct message message;
    unsigned served;
    bool decided;     /* whether there is room: for all of its routes, or for none */
    const char *full; /* the limit, where there is none */
    bool stored, dropped, ahead;
    const char *unfit;
};

/* The limit for which a message is not stored, or NULL: then there is room, or room
 * was made. An edge that is to hold reads nothing more; what it read is stored. */
static const char *refusal(struct intake *intake, size_t bytes)
{
    if (queue_hold(intake->queue))
        return NULL;
    int error = queue_make_room(intake->queue, bytes);
    if (error != 0 && error != -ENOSPC)
        intake->error = error;
    bool drops_newest = intake->config->queue.when_full == CONFIG_FULL_DROP_NEWEST;
    return error == -ENOSPC || drops_newest ? queue_full(intake->queue) : NULL;
}

/* A sender whose message was dropped may send it again: so it is dropped for all of its
 * routes, or for none of them. */
static const char *refusal_for_all(struct taking *taking)
{
    const char *full = refusal(taking->intake, taking->message.payload_bytes);
    if (!taking->decided)
        taking->full = full;
    taking->decided = true;
    return taking->full;
}

/* 0 and its id; -ENOSPC: it was dropped instead, because of the limit `full`; or the transaction has
 * failed. */
static int store_one(struct intake *intake, const struct message *message, const char *full, int64_t *ret_id)
{
    if (intake->error != 0)
        return intake->error;
    if (full) {
        intake->error = queue_count_dropped(intake->queue, full, message->route, message->payload_bytes);
        intake->dropped++;
        return -ENOSPC;
    }
    if (intake->error == 0)
        intake->error = queue_append(intake->queue, message, ret_id);
    if (intake->error == 0)
        intake->stored++;
    return intake->error;
}

static void store(void *context, size_t route)
{
    struct taking *taking = context;
    taking->served++;
    struct intake *intake = taking->intake;
    const struct config_route *to = &intake->config->routes[route];
    taking->message.route = to->name;
    enum reading_fate reading = READING_NONE;
    if (intake->error == 0 && to->ack_topic && !taking->unfit)
        intake->error = devices_receive(intake->devices, to, &taking->message, &reading);
    taking->ahead |= reading == READING_AHEAD;
    if (intake->error != 0 || reading == READING_AGAIN || reading == READING_AHEAD)
        return;
    const char *full = refusal_for_all(taking);
    if (reading == READING_NEW && full) {
        taking->dropped = true; /* not counted: the device keeps it, and sends it again */
        return;
    }
    int64_t id;
    int error = store_one(intake, &taking->message, full, &id);
    if (error == 0 && taking->unfit)
        error = intake->error = queue_dead_letter_now(intake->queue, id, "packet", taking->unfit);
    taking->stored |= error == 0;
    if (error == -ENOSPC && intake->error == 0) /* otherwise the disk is full, and all of it fails */
        taking->dropped = true;
    if (error == 0 && reading == READING_NEW)
        devices_stored(intake->devices);
}

enum intake_fate intake_take(struct intake *intake, const struct intake_message *message)
{
    assert(intake->open);
    struct taking taking = {
        .intake = intake,
        .message =
            {
                .topic = message->topic,
                .source = message->source,
                .packet_id = message->packet_id,
                .late = message->late,
                .content_type = message->content_type,
                .properties = message->properties,
                .expires_after_ms = message->expires_after_ms,
                .retained = message->retained,
                .uptime_ms = clock_uptime_ms(),
                .payload = message->payload,
                .payload_bytes = message->payload_bytes,
            },
    };
    taking.unfit = message->unfit;
    intake->received++;
    bool excepted =
        route_table_serve(intake->routes, message->topic, message->retained, message->copy, store, &taking);
    if (taking.served > 0)
        return taking.dropped  ? INTAKE_DROPPED
               : taking.ahead  ? INTAKE_AHEAD
               : taking.stored ? INTAKE_STORED
                               : INTAKE_AGAIN;
    if (excepted)
        intake->excepted++;
    else if (message->retained)
        intake->retained++;
    else
        intake->unrouted++;
    log_debug(EVENT_MESSAGE_UNROUTED, "topic %s: %s", message->topic,
              excepted            ? "left out by except"
              : message->retained ? "retained, not forwarded"
                                  : "no route");
    return INTAKE_UNROUTED;
}

int intake_take_request(struct intake *intake, const struct intake_request *request,
                        char ret_key[static MESSAGE_KEY_BYTES])
{
    assert(intake->open);
    const struct message message = {
        .route = request->route,
        .topic = request->topic,
        .source = "http",
        .method = request->method,
        .target = request->target,
        .content_type = request->content_type,
        .idempotency_key = request->idempotency_key,
        .uptime_ms = clock_uptime_ms(),
        .payload = request->payload,
        .payload_bytes = request->payload_bytes,
    };
    intake->received++;
    int64_t id = 0;
    if (message.idempotency_key && intake->error == 0)
        intake->error = queue_find_repeated(intake->queue, &message, &id);
    bool repeated = id != 0;
    int error = -EEXIST;
    if (!repeated) {
        const char *full = intake->error == 0 ? refusal(intake, message.payload_bytes) : NULL;
        error = store_one(intake, &message, full, &id);
    }
    if (error != 0 && !repeated)
        return error;
    if (message.idempotency_key)
        snprintf(ret_key, MESSAGE_KEY_BYTES, "%s", message.idempotency_key);
    else
        queue_key(intake->queue, id, ret_key);
    return error;
}

void intake_acks(struct intake *intake, intake_ack_fn *visit, void *context)
{
    devices_acks(intake->devices, visit, context);
}
