/* deliver/blame.c - see deliver/blame.h. */
#include "deliver/blame.h"
#include "base/clock.h"
#include "base/log.h"
#include "deliver/announce.h"
#include "deliver/dead_letter.h"
#include "deliver/deferred.h"
#include "deliver/lanes.h"
#include "deliver/line.h"
#include "deliver/round.h"

#include <string.h>

/* A message fails, and no other waits with which it can be compared. If none was delivered for so
 * long, the failure is reported. */
enum { ALONE_MS = 60 * 1000 };

/* ---- waits ---- */

/* The lanes of the request wait, longer each time; others go on. */
static void hold_lanes(const struct outcome *outcome)
{
    const struct flight *flight = outcome->flight;
    unsigned asked = 0; /* before, the most of its lanes */
    for (unsigned i = 0; i < flight->count; i++)
        if (flight->lanes[i] && flight->lanes[i]->asked > asked)
            asked = flight->lanes[i]->asked;
    asked++;
    int64_t until_ms = outcome->now_ms + outcome_backoff_ms(outcome, asked);
    for (unsigned i = 0; i < flight->count; i++) {
        if (!flight->lanes[i])
            continue;
        flight->lanes[i]->asked = asked;
        flight->lanes[i]->not_before_ms = until_ms;
    }
    if (flight->deferred)
        deferred_move(flight->deliver, flight->deferred, until_ms);
    deliver_wake_at(flight->deliver, until_ms);
}

/* ---- the record of a message ---- */

/* What is held against the only message of the request; NULL: it is not in its lane. */
static struct suspect *suspect_of(const struct flight *flight)
{
    if (flight->deferred)
        return &flight->deferred->suspect;
    struct lane *lane = flight->lanes[0];
    unsigned at = ring_find(lane, flight->ids[0]);
    if (at == lane->count)
        return NULL;
    struct waiting *waiting = ring_at(lane, at);
    if (!waiting->suspect)
        waiting->suspect = xcalloc(1, sizeof *waiting->suspect);
    return waiting->suspect;
}

/* The only message failed, and is tried again after a wait of its own, or sooner: as soon as
 * another one passed. Returns the record, or NULL. */
static struct suspect *note_failure(const struct outcome *outcome, const struct scope *scope, bool owed)
{
    struct flight *flight = outcome->flight;
    struct suspect *suspect = suspect_of(flight);
    flight->unheld = suspect == NULL;
    if (!suspect)
        return NULL;
    if (flight->attempts > suspect->attempts)
        suspect->attempts = flight->attempts;
    suspect_fail(suspect, scope, owed, outcome->reply->status, outcome->reason,
                 queue_now_ms(flight->deliver->queue));
    suspect->tried = ++flight->deliver->tries;
    suspect->retry_at_ms = outcome->now_ms + outcome_backoff_ms(outcome, ++suspect->failures);
    if (flight->deferred)
        deferred_move(flight->deliver, flight->deferred, suspect->retry_at_ms);
    else
        deliver_wake_at(flight->deliver, suspect->retry_at_ms);
    return suspect;
}

static bool another_route_is_misconfigured(const struct deliver *deliver, const struct route_state *than)
{
    for (size_t i = 0; i < deliver->config->route_count; i++) {
        const struct route_state *route = &deliver->routes[i];
        if (route != than && route->backend == than->backend && route->scope.suspected &&
            route->scope.announced)
            return true;
    }
    return false;
}

void blame_acquit_backend(const struct outcome *outcome, bool delivered)
{
    struct backend_state *backend = outcome->flight->route->backend;
    unsigned probe = outcome->flight->backend_probe;
    if (delivered)
        backend->newest_before = 0;
    bool suspected = delivered ? destination_passed(&backend->destination, probe)
                               : scope_acquit(&backend->destination.scope, probe);
    if (suspected || delivered)
        announce_backend_back(backend, suspected, outcome->now_ms);
}

/* ---- failures of a scope ---- */

/* Whether other requests will soon show how the scope is: then nobody has to be stopped for a
 * check. */
static bool others_show(const struct outcome *outcome, bool whole_backend)
{
    const struct flight *flight = outcome->flight;
    const struct backend_state *backend = flight->route->backend;
    const struct lane *lane;
    if (whole_backend && backend->destination.in_flight > 0)
        return true;
    for (size_t i = 0; !whole_backend && i < ROUTE_LANES; i++)
        if (flight->route->lanes[i].in_flight && &flight->route->lanes[i] != flight->lanes[0])
            return true;
    TAILQ_FOREACH(lane, &backend->line, line)
        if ((whole_backend || lane->route == flight->route) && line_is_ready(lane, outcome->now_ms) &&
            !ring_at(lane, 0)->suspect)
            return true;
    return false;
}

/* Of a batch: its halves come next, or, where the connection broke under others as well, all of
 * it once more with nothing else on the connection. */
static void take_apart(const struct outcome *outcome, const struct scope *scope)
{
    struct flight *flight = outcome->flight;
    bool isolate = outcome_broke_with_others(outcome), whole = isolate && !flight->isolated;
    part_split(flight, whole ? NULL : scope, whole, isolate);
}

static void unstarted(const struct outcome *outcome)
{
    const struct flight *flight = outcome->flight;
    scope_unstarted(&flight->route->scope, flight->route_probe);
    scope_unstarted(&flight->route->backend->destination.scope, flight->backend_probe);
}

/* Whether one was delivered shortly before, and no message waits with which the failure can be
 * compared: then it only waits. */
static bool is_alone(const struct outcome *outcome, bool whole_backend)
{
    const struct route_state *route = outcome->flight->route;
    int64_t passed_ms = whole_backend ? route->backend->passed_ms : route->passed_ms;
    return passed_ms > 0 && outcome->now_ms - passed_ms < ALONE_MS &&
           !outcome_has_others(outcome, whole_backend);
}

/* Records a doubtful failure. Returns true when nobody else is to be suspected for it. */
static bool is_its_own(const struct outcome *outcome, const struct scope *scope, bool whole_backend)
{
    const struct flight *flight = outcome->flight;
    bool probe = flight->backend_probe != 0 || flight->route_probe != 0;
    if (flight->count > 1) {
        take_apart(outcome, scope);
        return flight->convicted && !scope->suspected && !probe;
    }
    bool broke = outcome_broke_with_others(outcome);
    struct suspect *suspect = note_failure(outcome, scope, !broke || flight->isolated);
    if (suspect) {
        suspect->isolate = broke;
        suspect->untried = broke && !flight->isolated;
    }
    if (probe || scope->suspected)
        return false;
    if (flight->deferred)
        return true;
    if (!flight->convicted || !suspect)
        return is_alone(outcome, whole_backend);
    if (flight->route->config->on_failure == CONFIG_ON_FAILURE_WAIT)
        return others_show(outcome, whole_backend);
    dead_letter_note_first(flight->deliver, flight->ids[0], suspect);
    deferred_add(flight->deliver, flight->lanes[0], flight->ids[0], suspect->retry_at_ms - outcome->now_ms);
    return true;
}

void blame_scope(const struct outcome *outcome)
{
    struct flight *flight = outcome->flight;
    struct route_state *route = flight->route;
    bool whole_backend = outcome->verdict == VERDICT_AWAY || outcome->reply->failure != TRANSFER_OK;
    struct scope *scope = whole_backend ? &route->backend->destination.scope : &route->scope;
    enum outcome_kind kind = outcome_kind(outcome);

    if (!whole_backend && !route->backend->by_routes) /* it responds, so it is not away */
        blame_acquit_backend(outcome, false);
    if (kind == OUTCOME_DOUBTFUL && is_its_own(outcome, scope, whole_backend)) {
        unstarted(outcome);
        return;
    }
    if (kind == OUTCOME_ASKS_TO_WAIT) {
        hold_lanes(outcome);
        if (!route->backend->destination.scope.suspected && is_alone(outcome, true)) {
            unstarted(outcome);
            return;
        }
    }
    if (kind == OUTCOME_CERTAIN && flight->deferred)
        deferred_move(flight->deliver, flight->deferred, outcome->now_ms + outcome_backoff_ms(outcome, 1));
    if (whole_backend) {
        round_suspect_backend(outcome, false);
        scope_unstarted(&route->scope, flight->route_probe);
        return;
    }
    round_suspect_route(outcome);
    if (another_route_is_misconfigured(flight->deliver, route))
        round_suspect_backend(outcome, true);
    else
        scope_unstarted(&route->backend->destination.scope, flight->backend_probe);
}

/* ---- failures of a message ---- */

/* Ten different messages, of two lanes where two have work, and none delivered between them. */
static bool too_many_in_row(const struct route_state *route)
{
    bool two_lanes = (route->rejected_lanes & (route->rejected_lanes - 1)) != 0;
    return route->rejected_in_row >= HOLD_AFTER && (two_lanes || route->busy_lanes <= 1);
}

/* When the queue does not take it, it is simply tried again. */
static bool move_to_dead(const struct outcome *outcome, unsigned attempts, const char *reason)
{
    struct flight *flight = outcome->flight;
    struct deliver *deliver = flight->deliver;
    if (dead_letter_move(deliver, flight->route, flight->ids[0], suspect_of(flight), attempts,
                         outcome->reply->status, reason, outcome->reason) != 0) {
        note_failure(outcome, &flight->route->scope, false);
        return false;
    }
    if (flight->deferred)
        deferred_remove(deliver, flight->deferred);
    else
        lanes_remove(deliver, flight->lanes[0], flight->ids[0]);
    flight->deferred = NULL;
    return true;
}

static void count_rejection(const struct flight *flight)
{
    struct route_state *route = flight->route;
    if (route->rejected_in_row < HOLD_AFTER)
        route->rejected_ids[route->rejected_in_row] = flight->ids[0];
    route->rejected_in_row++;
    /* a deferred message has no lane */
    route->rejected_lanes |=
        UINT64_C(1) << (flight->lanes[0] ? flight->lanes[0] - route->lanes : flight->ids[0] % ROUTE_LANES);
}

void blame_batch(const struct outcome *outcome)
{
    part_split(outcome->flight, &outcome->flight->route->scope, false, false);
    if (outcome->flight->route_probe != 0 && outcome->flight->route->scope.suspected)
        round_suspect_route(outcome); /* it was a check */
}

void blame_message(const struct outcome *outcome, unsigned attempts, const char *reason)
{
    struct flight *flight = outcome->flight;
    struct route_state *route = flight->route;
    if (outcome->by_user) {
        scope_unstarted(&route->scope, flight->route_probe);
        move_to_dead(outcome, attempts, reason);
        return;
    }
    if (!route->held && too_many_in_row(route)) {
        route->held = true;
        queue_hold_route(flight->deliver->queue, route->config->name, route->rejected_ids, HOLD_AFTER);
        log_error(EVENT_ROUTE_HELD,
                  "%s: %u messages in a row were rejected, and none was delivered: no more are dead-lettered "
                  "until one is delivered; correct the route or the backend",
                  route->config->name, route->rejected_in_row);
    }
    if (route->held) {
        note_failure(outcome, &route->scope, false);
        if (!flight->deferred || flight->route_probe != 0)
            round_suspect_route(outcome);
        return;
    }
    /* This response is not what the route was suspected for. */
    if (scope_acquit(&route->scope, flight->route_probe))
        announce_route_back(route, true, outcome->now_ms);
    if (move_to_dead(outcome, attempts, reason))
        count_rejection(flight);
}

void blame_later(const struct outcome *outcome)
{
    struct flight *flight = outcome->flight;
    struct deliver *deliver = flight->deliver;
    const struct route_state *route = flight->route;
    unsigned attempts = flight->attempts + 1;
    if (attempts >= route->backend->config->max_attempts) {
        blame_message(outcome, attempts, "attempts");
        return;
    }
    scope_unstarted(&flight->route->scope, flight->route_probe);
    struct suspect *suspect = note_failure(outcome, &route->scope, false);
    if (!suspect)
        return;
    suspect->attempts = attempts;
    dead_letter_note_first(deliver, flight->ids[0], suspect);
    if (flight->deferred || route->config->on_failure == CONFIG_ON_FAILURE_WAIT)
        queue_blame(deliver->queue, flight->ids[0], attempts, outcome->reply->status, outcome->reason,
                    queue_now_ms(deliver->queue));
    else
        deferred_add(deliver, flight->lanes[0], flight->ids[0], suspect->retry_at_ms - outcome->now_ms);
}

/* ---- before a message is sent again ---- */

static int decide_dead(struct deliver *deliver, struct route_state *route, int64_t id,
                       struct suspect *suspect)
{
    int error = dead_letter_move(deliver, route, id, suspect, suspect->attempts, suspect->last.status,
                                 "attempts", suspect->last.reason);
    return error != 0 ? error : 1;
}

/* A second attempt and later ones are written down. */
static void note_attempts(struct deliver *deliver, int64_t id, struct suspect *suspect)
{
    if (suspect->attempts < DEFER_AFTER)
        return;
    dead_letter_note_first(deliver, id, suspect);
    queue_blame(deliver->queue, id, suspect->attempts, suspect->last.status, suspect->last.reason,
                suspect->last.wall_ms);
}

int blame_decide(struct deliver *deliver, struct lane *lane)
{
    struct waiting *waiting = ring_at(lane, 0);
    struct suspect *suspect = waiting->suspect;
    const struct route_state *route = lane->route;
    int64_t id = waiting->id;
    if (!suspect)
        return 0;
    bool counted = suspect_count(suspect);
    int result = 0;
    if (suspect->attempts >= route->backend->config->max_attempts) {
        result = decide_dead(deliver, lane->route, id, suspect);
    } else if (suspect->attempts >= DEFER_AFTER && route->config->on_failure != CONFIG_ON_FAILURE_WAIT) {
        dead_letter_note_first(deliver, id, suspect);
        int64_t wait_ms = suspect->retry_at_ms - clock_uptime_ms();
        int error = deferred_add(deliver, lane, id, wait_ms > 0 ? wait_ms : 0);
        return error != 0 ? error : 1;
    } else if (counted) {
        note_attempts(deliver, id, suspect);
    }
    if (result == 1)
        lanes_remove(deliver, lane, id);
    return result;
}

int blame_decide_deferred(struct deliver *deliver, struct deferred *deferred)
{
    struct suspect *suspect = &deferred->suspect;
    bool counted = suspect_count(suspect);
    int result = 0;
    if (suspect->attempts >= deferred->route->backend->config->max_attempts)
        result = decide_dead(deliver, deferred->route, deferred->id, suspect);
    else if (counted)
        note_attempts(deliver, deferred->id, suspect);
    if (result == 1)
        deferred_remove(deliver, deferred);
    return result;
}
