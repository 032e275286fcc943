/* deliver/choose.c - see deliver/choose.h. */
#include "deliver/choose.h"
#include "deliver/deferred.h"
#include "deliver/lanes.h"
#include "deliver/line.h"
#include "deliver/round.h"

enum {
    NEWEST_ROWS = 32, /* among which one of the newest messages is looked for */
};

/* ---- checks ---- */

/* Which messages may be a check: those of the route, or of all routes of the backend. */
struct choice {
    struct deliver *deliver;
    struct backend_state *backend;
    struct route_state *route; /* or NULL */
    const struct scope *scope;
    struct round *round;
    int64_t now_ms;
    struct work *ret;
};

static bool route_fits(const struct choice *choice, const struct route_state *route)
{
    if (route->scope.probing != 0)
        return false;
    if (choice->route)
        return route == choice->route;
    return route->backend == choice->backend &&
           (choice->backend->by_routes || scope_admits(&route->scope, choice->now_ms));
}

static bool fits(const struct choice *choice, const struct lane *lane)
{
    return lane->count > 0 && !lane->in_flight && lane->not_before_ms <= choice->now_ms &&
           route_fits(choice, lane->route);
}

static bool take_one(const struct choice *choice, struct lane *lane, int64_t id)
{
    *choice->ret = (struct work){.kind = WORK_ONE, .lane = lane, .id = id};
    return true;
}

/* Whether no message may be sent before one that failed. */
static bool is_strict(const struct route_state *route)
{
    return route->config->on_failure == CONFIG_ON_FAILURE_WAIT;
}

/* The other part of the batch that failed. */
static bool choose_part(const struct choice *choice)
{
    for (size_t r = 0; r < choice->deliver->config->route_count; r++) {
        struct route_state *route = &choice->deliver->routes[r];
        struct part *part;
        if (!route_fits(choice, route))
            continue;
        TAILQ_FOREACH(part, &route->parts, others)
            if (part_is_next(part, !is_strict(route))) {
                *choice->ret = (struct work){
                    .kind = WORK_PART, .part = part, .lane = part->lanes[0], .check = !is_strict(route)};
                return true;
            }
    }
    return false;
}

/* How many messages of the lane may be a check. */
static unsigned most_checks(const struct lane *lane)
{
    return is_strict(lane->route) && lane->count > 1 ? 1 : lane->count;
}

/* The first message of another lane, if it never failed. */
static bool choose_other(const struct choice *choice)
{
    struct lane *lane;
    TAILQ_FOREACH(lane, &choice->backend->line, line)
        if (fits(choice, lane) && lane != choice->round->failed && lane->parts == 0 &&
            !ring_at(lane, 0)->suspect)
            return take_one(choice, lane, ring_at(lane, 0)->id);
    return false;
}

/* The deferred message whose last try is longest ago, and longer than this; or NULL. */
static struct deferred *oldest_deferred(const struct choice *choice, uint64_t before)
{
    struct deferred *deferred, *found = NULL;
    TAILQ_FOREACH(deferred, &choice->backend->deferred, others)
        if (!deferred->in_flight && route_fits(choice, deferred->route) && deferred->suspect.tried < before &&
            !(choice->scope->firm && deferred->not_before_ms > choice->now_ms)) {
            found = deferred;
            before = deferred->suspect.tried;
        }
    return found;
}

/* Messages that failed are checks once in a round, in the order of their tries. First come those
 * whose connection broke under several: each is tried alone. */
static uint64_t turn(const struct choice *choice, const struct suspect *suspect)
{
    return suspect->untried && !choice->scope->firm ? 0 : suspect->tried;
}

/* All that could be a check failed before. Where the backend asked to wait, of another lane. */
static bool choose_again(const struct choice *choice)
{
    struct lane *lane, *found = NULL;
    int64_t id = 0;
    uint64_t first = choice->round->tries;
    TAILQ_FOREACH(lane, &choice->backend->line, line) {
        if (!fits(choice, lane) || (choice->scope->firm && lane == choice->round->failed))
            continue;
        for (unsigned at = 0; at < most_checks(lane); at++) {
            const struct waiting *waiting = ring_at(lane, at);
            if (!waiting->suspect || turn(choice, waiting->suspect) >= first)
                continue;
            first = turn(choice, waiting->suspect);
            found = lane;
            id = waiting->id;
        }
    }
    struct deferred *deferred = oldest_deferred(choice, first);
    if (deferred)
        *choice->ret = (struct work){.kind = WORK_DEFERRED, .deferred = deferred};
    return deferred || (found && take_one(choice, found, id));
}

/* A connection broke under messages of the lane, and others: each is tried alone first. */
static bool has_untried(const struct lane *lane)
{
    for (unsigned at = 0; at < lane->count; at++)
        if (ring_at(lane, at)->suspect && ring_at(lane, at)->suspect->untried)
            return true;
    return false;
}

/* The place of the first message of the lane that never failed and may be a check; lane->count: none. */
static unsigned first_fresh(const struct choice *choice, struct lane *lane)
{
    if (!fits(choice, lane) || has_untried(lane))
        return lane->count;
    unsigned most = most_checks(lane);
    for (unsigned at = 0; at < most; at++)
        if (!ring_at(lane, at)->suspect)
            return at;
    if (most == lane->count && lane->behind && lane->count < lane->route->lane_ids) {
        lane->feeding = true; /* for the next round */
        deliver_feed(choice->deliver);
    }
    return lane->count;
}

/* The next message of the lane where most failed already, of the one that failed first or any other:
 * so that each check gets further behind the bad ones, and no lane is begun in vain. */
static bool choose_deeper(const struct choice *choice)
{
    struct lane *lane, *found = choice->round->failed;
    unsigned deepest = found ? first_fresh(choice, found) : 0;
    if (found && deepest == found->count)
        found = NULL;
    TAILQ_FOREACH(lane, &choice->backend->line, line) {
        unsigned at = first_fresh(choice, lane);
        if (at == lane->count || (found && at <= deepest))
            continue;
        found = lane;
        deepest = at;
    }
    return found && take_one(choice, found, ring_at(found, deepest)->id);
}

static void visit_newest(void *context, int64_t id, const char *route_name, const char *topic, bool deferred)
{
    const struct choice *choice = context;
    struct deliver *deliver = choice->deliver;
    if (!choice->ret->lane)
        choice->backend->newest_before = id;
    if (choice->ret->lane || deferred || queue_is_settled(deliver->queue, id) ||
        queue_is_claimed(deliver->queue, id))
        return;
    struct lane *lane = lanes_of(deliver, route_name, topic, id);
    if (!lane || !fits(choice, lane) || is_strict(lane->route) || has_untried(lane))
        return;
    unsigned at = ring_find(lane, id);
    if (at == lane->count || !ring_at(lane, at)->suspect)
        take_one(choice, lane, id);
}

/* The newest message that never failed, and each time an older one. */
static bool choose_newest(const struct choice *choice)
{
    struct deliver *deliver = choice->deliver;
    int64_t up_to =
        choice->backend->newest_before > 0 ? choice->backend->newest_before - 1 : deliver->frontier;
    struct choice copy = *choice;
    *choice->ret = (struct work){.kind = WORK_ONE};
    int rows = queue_scan_newest(deliver->queue, up_to, NEWEST_ROWS, visit_newest, &copy);
    if (rows == 0)
        choice->backend->newest_before = 0;
    return rows > 0 && choice->ret->lane;
}

/* A message behind the first one of its lane. It may overtake those before it: they failed, but an
 * outage may have ended since. */
static bool choose_deep(const struct choice *choice)
{
    if (choice->round->deep == 0)
        return false;
    bool last = choice->round->newest && choice->scope->checks_left == 0;
    bool found = (last && choose_newest(choice)) || choose_deeper(choice) || choose_newest(choice);
    choice->ret->deep_of = found ? choice->round : NULL;
    return found;
}

/* Different topics, ages and sizes: the failed batch's other part, the first messages of other
 * lanes, those behind them. Where the backend asked to wait, that may be a limit for one path: the
 * first messages of other lanes only. */
static bool choose_check(const struct choice *choice)
{
    unsigned number = choice->scope->checks;
    if (choice->scope->firm)
        return choose_other(choice) || choose_again(choice);
    if (number == 1 && choose_part(choice))
        return true;
    bool deep = choice->route ? number % 2 == 0 : number > choice->round->heads;
    return (deep && choose_deep(choice)) || choose_other(choice) || choose_deep(choice) ||
           choose_part(choice) || choose_again(choice);
}

/* ---- what is next ---- */

/* The next lane in line. Those whose first message failed before come after the others, or have
 * half of the budget: a backend may need a time-out for each of them. */
static bool choose_lane(const struct backend_state *backend, int64_t now_ms, struct work *ret)
{
    struct lane *lane, *found = NULL;
    bool any = backend->suspects_in_flight <= destination_budget(&backend->destination) / 2;
    TAILQ_FOREACH(lane, &backend->line, line) {
        bool suspect = ring_at(lane, 0)->suspect;
        if ((found && (suspect || any)) || !line_is_ready(lane, now_ms))
            continue;
        found = lane;
        if (any || !suspect)
            break;
    }
    if (found)
        *ret =
            (struct work){.kind = WORK_LANE, .lane = found, .lingers = line_lingers_until_ms(found) > now_ms};
    return found;
}

static bool choose_deferred(const struct backend_state *backend, int64_t now_ms, bool busy, struct work *ret)
{
    *ret = (struct work){.kind = WORK_DEFERRED, .deferred = deferred_next(backend, now_ms, busy)};
    return ret->deferred != NULL;
}

/* A part of a batch, of a route that is well. */
static bool choose_any_part(const struct deliver *deliver, const struct backend_state *backend,
                            struct work *ret)
{
    for (size_t r = 0; r < deliver->config->route_count; r++) {
        struct route_state *route = &deliver->routes[r];
        struct part *part;
        if (route->backend != backend || route->scope.suspected)
            continue;
        TAILQ_FOREACH(part, &route->parts, others)
            if (part_is_next(part, false)) {
                *ret = (struct work){.kind = WORK_PART, .part = part, .lane = part->lanes[0]};
                return true;
            }
    }
    return false;
}

static bool has_in_flight(const struct route_state *route)
{
    for (size_t i = 0; i < ROUTE_LANES; i++)
        if (route->lanes[i].in_flight)
            return true;
    return false;
}

/* A check of one of the routes. A route that has none waits, or, where requests of it are in flight, for
 * their end. */
static bool choose_route_check(struct deliver *deliver, struct backend_state *backend, int64_t now_ms,
                               struct work *ret)
{
    for (size_t r = 0; r < deliver->config->route_count; r++) {
        struct route_state *route = &deliver->routes[r];
        if (route->backend != backend || !scope_is_checking(&route->scope) ||
            !scope_admits(&route->scope, now_ms))
            continue;
        const struct choice choice = {.deliver = deliver,
                                      .backend = backend,
                                      .route = route,
                                      .scope = &route->scope,
                                      .round = &route->round,
                                      .now_ms = now_ms,
                                      .ret = ret};
        if (choose_check(&choice))
            return true;
        if (!has_in_flight(route))
            round_end(deliver, backend, route);
    }
    return false;
}

bool choose_next(struct deliver *deliver, struct backend_state *backend, int64_t now_ms, struct work *ret)
{
    const struct scope *scope = &backend->destination.scope;
    if (scope_is_checking(scope)) {
        const struct choice choice = {.deliver = deliver,
                                      .backend = backend,
                                      .scope = scope,
                                      .round = &backend->round,
                                      .now_ms = now_ms,
                                      .ret = ret};
        if (choose_check(&choice))
            return true;
        if (backend->destination.in_flight == 0) /* otherwise their end tells more */
            round_end(deliver, backend, NULL);
        return false;
    }
    if (scope->suspected)
        return choose_lane(backend, now_ms, ret) || choose_deferred(backend, now_ms, false, ret);
    if (choose_route_check(deliver, backend, now_ms, ret) || choose_any_part(deliver, backend, ret))
        return true;
    struct work lane;
    bool busy = choose_lane(backend, now_ms, &lane);
    if (!(busy && backend->rate_reserved) && choose_deferred(backend, now_ms, busy, ret))
        return true;
    *ret = lane;
    return busy;
}

/* ---- how much ---- */

unsigned choose_waiting(const struct lane *first)
{
    const struct lane *lane;
    unsigned count = 0;
    TAILQ_FOREACH(lane, &first->route->backend->line, line)
        if (lane->route == first->route)
            count += lane->count;
    return count;
}

unsigned choose_count(const struct work *work)
{
    if (work->kind == WORK_ONE || work->kind == WORK_DEFERRED)
        return 1;
    const struct lane *lane = work->lane;
    const struct route_state *route = lane->route;
    unsigned most = work->kind == WORK_PART ? work->part->count : route->config->batch;
    if (most <= 1 ||
        (work->kind == WORK_LANE && (lane->parts > 0 || ring_at(lane, 0)->suspect || route->scope.suspected ||
                                     route->backend->destination.scope.suspected)))
        return 1;
    unsigned rate_bound = rate_most(&route->backend->rate);
    most = most < rate_bound ? most : rate_bound;
    unsigned waiting = work->kind == WORK_LANE ? choose_waiting(lane) : most;
    return most < waiting ? most : waiting;
}

bool choose_must_isolate(const struct work *work)
{
    if (work->kind == WORK_PART)
        return work->part->isolate;
    if (work->kind == WORK_DEFERRED)
        return work->deferred->suspect.isolate;
    unsigned at = work->kind == WORK_ONE ? ring_find(work->lane, work->id) : 0;
    const struct suspect *suspect = at < work->lane->count ? ring_at(work->lane, at)->suspect : NULL;
    return suspect && suspect->isolate;
}
