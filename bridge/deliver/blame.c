/* deliver/blame.c - decides who is to blame for a failure; see deliver/blame.h. */
#include "deliver/blame.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "deliver/announce.h"
#include "deliver/dead_letter.h"
#include "deliver/line.h"
#include "deliver/suspect.h"

enum { REJECTED_IN_ROW_MOST = 10 };

/* ---- waits ---- */

static int64_t backoff_ms(const struct outcome *outcome, unsigned failures)
{
    const struct config_backend *backend = outcome->flight->lane->route->backend->config;
    int64_t wait_ms = backoff_wait_ms(backend->retry_min_ms, backend->retry_max_ms, failures, clock_chance());
    int64_t asked_ms;
    if (outcome->reply->retry_after &&
        backoff_retry_after_ms(outcome->reply->retry_after, queue_now_ms(outcome->flight->deliver->queue),
                               backend->retry_max_ms, &asked_ms) == 0 &&
        asked_ms > wait_ms) /* never sooner: "0", or a date in the past, must not make a hot loop */
        wait_ms = asked_ms;
    return wait_ms;
}

/* Only the lane waits whose message is to blame; the others go on. */
static void wait_alone(const struct outcome *outcome)
{
    struct lane *lane = outcome->flight->lane;
    lane->not_before_ms = outcome->now_ms + backoff_ms(outcome, outcome->flight->attempts);
    line_wake_at(outcome->flight->deliver, lane->not_before_ms);
}

/* ---- evidence ---- */

/* Whether the message may have caused the failure at all: not when it never reached the
 * backend, nor when a proxy reports that the backend is away, or overloaded. */
static bool may_be_the_message(const struct reply *reply)
{
    if (reply->failure != TRANSFER_OK)
        return reply->failure == TRANSFER_BROKEN;
    switch (reply->status) {
    case 408:
    case 425:
    case 429:
    case 502:
    case 503:
    case 504:
        return false;
    default:
        return true;
    }
}

/* Whether the backend asks for a pause, whatever else it accepts meanwhile. */
static bool asks_to_wait(const struct reply *reply)
{
    return reply->status == 429 || (reply->retry_after && reply->failure == TRANSFER_OK);
}

/* Whether a batch may have caused it. A proxy's report counts here: a member may have broken
 * the server behind the proxy, or all of them together take it too long. */
static bool may_be_the_batch(const struct reply *reply)
{
    return may_be_the_message(reply) || (reply->failure == TRANSFER_OK && !asks_to_wait(reply));
}

/* Whether a connection broke that others shared: no evidence against this one. */
static bool broke_with_others(const struct outcome *outcome)
{
    return outcome->reply->failure == TRANSFER_BROKEN &&
           outcome->flight->lane->route->backend->destination.http_version == 2;
}

/* Whether this failure is evidence against its message, or batch. */
static bool is_evidence(const struct outcome *outcome)
{
    const struct flight *flight = outcome->flight;
    return flight->count > 1 ? may_be_the_batch(outcome->reply) : suspect_owes(flight);
}

/* ---- the message or the batch ---- */

static void suspect_message(const struct outcome *outcome, const struct scope *scope)
{
    const struct failure failure = {.status = outcome->reply->status,
                                    .reason = outcome->reason,
                                    .wall_ms = queue_now_ms(outcome->flight->deliver->queue)};
    suspect_note(outcome->flight, scope, &failure, broke_with_others(outcome),
                 may_be_the_message(outcome->reply));
}

/* Of a batch: its halves come next, or all of it once more: with nothing else on the
 * connection, or, where the backend seemed to be away, until others passed.
 * scope: where it failed, or NULL when the response blames it. */
static void take_apart(const struct outcome *outcome, const struct scope *scope)
{
    struct flight *flight = outcome->flight;
    bool isolate = broke_with_others(outcome);
    bool whole =
        isolate ? !flight->isolated : scope && !may_be_the_message(outcome->reply) && !flight->blamed;
    const struct half like = {
        .scope = isolate && whole ? NULL : scope, .passes = scope ? scope->passes : 0, .isolate = isolate};
    if (!flight->lane->halves)
        flight->lane->halves = xcalloc(1, sizeof *flight->lane->halves);
    halves_split(flight->lane->halves, flight->ids, flight->count, whole, &like);
}

/* ---- scopes ---- */

static void suspect_backend(const struct outcome *outcome, bool by_routes)
{
    struct backend_state *backend = outcome->flight->lane->route->backend;
    struct scope *scope = &backend->destination.scope;
    if (!destination_failed(&backend->destination, outcome->verdict, outcome->flight->backend_probe,
                            outcome->now_ms))
        return;
    backend->by_routes = by_routes;
    scope->firm = asks_to_wait(outcome->reply);
    int64_t wait_ms = backoff_ms(outcome, scope->failures);
    scope_wait(scope, outcome->now_ms, wait_ms);
    announce_backend(outcome, wait_ms);
    line_wake_at(outcome->flight->deliver, scope->retry_at_ms);
}

static void suspect_route(const struct outcome *outcome)
{
    struct route_state *route = outcome->flight->lane->route;
    if (!scope_failed(&route->scope, VERDICT_MISCONFIGURED, outcome->flight->route_probe, outcome->now_ms))
        return;
    int64_t wait_ms = backoff_ms(outcome, route->scope.failures);
    scope_wait(&route->scope, outcome->now_ms, wait_ms);
    announce_route(outcome, wait_ms);
    line_wake_at(outcome->flight->deliver, route->scope.retry_at_ms);
}

static bool another_route_is_suspected(const struct deliver *deliver, const struct route_state *than)
{
    for (size_t i = 0; i < deliver->config->route_count; i++) {
        const struct route_state *route = &deliver->routes[i];
        if (route != than && route->backend == than->backend && route->scope.suspected &&
            route->scope.announced)
            return true;
    }
    return false;
}

static void trust_backend(const struct outcome *outcome, bool delivered)
{
    struct backend_state *backend = outcome->flight->lane->route->backend;
    unsigned probe = outcome->flight->backend_probe;
    bool suspected = delivered ? destination_passed(&backend->destination, probe)
                               : scope_acquit(&backend->destination.scope, probe);
    if (suspected || delivered)
        announce_backend_back(outcome, suspected);
}

void blame_scope(const struct outcome *outcome)
{
    struct flight *flight = outcome->flight;
    struct route_state *route = flight->lane->route;
    bool whole_backend = outcome->verdict == VERDICT_AWAY || outcome->reply->failure != TRANSFER_OK;
    struct scope *scope = whole_backend ? &route->backend->destination.scope : &route->scope;

    /* It responds, so it is not away. */
    if (!whole_backend && !route->backend->by_routes)
        trust_backend(outcome, false);
    if (flight->count == 1)
        suspect_message(outcome, scope);
    else if (may_be_the_batch(outcome->reply))
        take_apart(outcome, scope);
    if (flight->blamed && is_evidence(outcome) && !scope->suspected && !asks_to_wait(outcome->reply)) {
        scope_unstarted(&route->scope, flight->route_probe);
        scope_unstarted(&route->backend->destination.scope, flight->backend_probe);
        if (flight->count == 1) /* the halves of a batch need not wait */
            wait_alone(outcome);
        return;
    }
    if (whole_backend) {
        suspect_backend(outcome, false);
        scope_unstarted(&route->scope, flight->route_probe);
    } else {
        suspect_route(outcome);
        if (another_route_is_suspected(flight->deliver, route))
            suspect_backend(outcome, true);
        else
            scope_unstarted(&route->backend->destination.scope, flight->backend_probe);
    }
}

void blame_nobody(const struct outcome *outcome)
{
    struct route_state *route = outcome->flight->lane->route;
    trust_backend(outcome, true);
    announce_route_back(outcome, scope_passed(&route->scope, outcome->flight->route_probe), "passes again");
    route->rejected_in_row = 0;
    route->rejected_lanes = 0;
    route->unfit_in_row = 0;
    route->held = false;
}

/* ---- this message ---- */

/* Ten different messages, of two lanes where two have work, and none delivered
 * between them. */
static bool too_many_in_row(const struct route_state *route)
{
    bool two_lanes = (route->rejected_lanes & (route->rejected_lanes - 1)) != 0;
    return route->rejected_in_row >= REJECTED_IN_ROW_MOST && (two_lanes || route->busy_lanes <= 1);
}

/* The response blames its message. When too many are rejected in a row, the messages are not
 * to blame: then the route is held, and goes on probing. */
static void reject(const struct outcome *outcome, unsigned attempts, const char *reason)
{
    struct flight *flight = outcome->flight;
    struct lane *lane = flight->lane;
    struct route_state *route = lane->route;
    if (!route->held && too_many_in_row(route)) {
        route->held = true;
        log_error(EVENT_ROUTE_HELD,
                  "%s: %u messages in a row were rejected, and none was delivered: no more are dead-lettered "
                  "until one is delivered; correct the route or the backend",
                  route->config->name, route->rejected_in_row);
    }
    if (route->held) {
        suspect_message(outcome, &route->scope);
        if (lane->suspect.id == flight->ids[0])
            lane->suspect.owed = false; /* all are rejected: it is no evidence against this one */
        suspect_route(outcome);
        return;
    }
    /* This response is not what the route was suspected for. */
    if (scope_acquit(&route->scope, flight->route_probe))
        announce_route_back(outcome, true, "responds in another way");
    if (dead_letter_add(flight->deliver, lane, flight->ids[0], attempts, outcome->reply->status, reason,
                        outcome->reason) != 0) {
        wait_alone(outcome); /* the storage does not take it: it is tried again */
        return;
    }
    route->rejected_in_row++;
    route->rejected_lanes |= UINT64_C(1) << (lane - route->lanes);
}

/* Nobody is to blame for a body that is too long: bodies are shorter from now on. */
static void send_less(const struct outcome *outcome)
{
    struct flight *flight = outcome->flight;
    struct route_state *route = flight->lane->route;
    size_t half = flight->body_bytes / 2;
    if (half >= route->batch_bytes)
        return; /* known already, from another request in flight */
    route->batch_bytes = half;
    log_notice(EVENT_BATCH_SIZE_REDUCED,
               "route %s: the backend refuses %zu bytes at once (413); batches have at most %zu from now on",
               route->config->name, flight->body_bytes, half);
}

void blame_message_later(const struct outcome *outcome)
{
    struct flight *flight = outcome->flight;
    trust_backend(outcome, false);
    if (flight->count > 1) {
        take_apart(outcome, NULL);
        return;
    }
    unsigned attempts = flight->attempts + 1;
    if (attempts >= flight->lane->route->backend->config->max_attempts) {
        reject(outcome, attempts, "attempts");
        return;
    }
    scope_unstarted(&flight->lane->route->scope, flight->route_probe);
    flight->attempts = attempts;
    suspect_write_first(flight->deliver, flight->lane, flight->ids[0]);
    queue_blame(flight->deliver->queue, flight->ids[0], attempts, outcome->reply->status, outcome->reason,
                queue_now_ms(flight->deliver->queue));
    wait_alone(outcome);
}

void blame_message(const struct outcome *outcome)
{
    trust_backend(outcome, false);
    if (outcome->flight->count == 1)
        reject(outcome, outcome->flight->attempts, "rejected");
    else if (outcome->reply->status == 413)
        send_less(outcome);
    else
        take_apart(outcome, NULL);
}
