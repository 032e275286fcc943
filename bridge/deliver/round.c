/* deliver/round.c - see deliver/round.h. */
#include "deliver/round.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "deliver/announce.h"
#include "deliver/line.h"

/* Other messages that are tried at once, one after the other. A check behind the first message of a
 * lane overtakes messages of its topic if an outage ends just then. A proxy's response, or a broken
 * connection, mostly is an outage: then few of them are. */
enum {
    CHECKS_FIRST = 60,      /* after the first failure, ... */
    CHECKS_FIRST_MS = 5000, /* ... but not for longer than this; ... */
    HEADS_FIRST = 30,       /* ... at most so many of them are first messages of other lanes */
    HEADS_LATER = 2,        /* after each probe of a backend that seems to be away; ... */
    DEEP_LATER = 2,         /* ... and so many behind the first ones; */
    CHECKS_SLOW = 1,        /* where each may take as long as a time-out */
    RECENTLY_MS = 60 * 1000,
};

/* Messages were delivered a moment ago, and those that are left fail: they may be bad. So nobody hears of
 * it before the next round fails as well. */
static bool is_early(const struct backend_state *backend, const struct route_state *route)
{
    const struct scope *scope = route ? &route->scope : &backend->destination.scope;
    int64_t passed_ms = route ? route->passed_ms : backend->passed_ms;
    return scope->rounds < 2 && passed_ms > 0 && clock_uptime_ms() - passed_ms < RECENTLY_MS;
}

static void wait_for_next(struct deliver *deliver, struct backend_state *backend, struct route_state *route,
                          int64_t wait_ms, bool certain)
{
    struct scope *scope = route ? &route->scope : &backend->destination.scope;
    int64_t now_ms = clock_uptime_ms();
    scope_wait(scope, now_ms, wait_ms);
    deliver_wake_at(deliver, scope->retry_at_ms);
    wait_ms = scope->retry_at_ms - now_ms;
    if (!certain && is_early(backend, route))
        return;
    if (route)
        announce_route(deliver, route, wait_ms);
    else
        announce_backend(deliver, backend, wait_ms);
}

void round_end(struct deliver *deliver, struct backend_state *backend, struct route_state *route)
{
    struct scope *scope = route ? &route->scope : &backend->destination.scope;
    scope_end_round(scope);
    wait_for_next(deliver, backend, route,
                  backoff_wait_ms(backend->config->retry_min_ms, backend->config->retry_max_ms, scope->rounds,
                                  clock_chance()),
                  false);
}

/* A round begins: which checks it may have. Returns how many. */
static unsigned plan_round(const struct outcome *outcome, const struct scope *scope, struct round *round)
{
    round->alone = !outcome_has_others(outcome, scope != &outcome->flight->route->scope);
    bool first = !scope->suspected || scope->rounds == 0, proxy = outcome_is_of_proxy(outcome);
    bool broke = outcome_broke_with_others(outcome) && !outcome->flight->isolated;
    round->newest = !proxy;
    round->heads = first && !proxy ? HEADS_FIRST : HEADS_LATER;
    round->deep = !first ? DEEP_LATER : proxy ? 1 : CHECKS_FIRST;
    if (broke)
        round->deep = 0; /* those on the connection are tried alone first */
    if (outcome->reply->timed_out)
        return CHECKS_SLOW;
    return first && (!proxy || broke) ? CHECKS_FIRST : HEADS_LATER + DEEP_LATER;
}

static unsigned checks_for(const struct outcome *outcome, const struct scope *scope, struct round *round)
{
    round->alone = false;
    if (scope->checks == 0 || !scope->suspected) {
        round->failed = outcome->flight->lanes[0];
        round->tries = outcome->flight->deliver->tries;
    }
    switch (outcome_kind(outcome)) {
    case OUTCOME_CERTAIN:
        return 0;
    case OUTCOME_ASKS_TO_WAIT:
        return 1;
    case OUTCOME_DOUBTFUL:
        break;
    }
    if (scope->checks == 0 || !scope->suspected)
        return plan_round(outcome, scope, round);
    bool late = scope->rounds == 0 && outcome->now_ms - scope->since_ms >= CHECKS_FIRST_MS;
    return late || outcome->reply->timed_out ? 0 : scope->checks_left;
}

void round_suspect_backend(const struct outcome *outcome, bool by_routes)
{
    struct backend_state *backend = outcome->flight->route->backend;
    struct scope *scope = &backend->destination.scope;
    if (!scope_counts(scope, outcome->flight->backend_probe))
        return;
    unsigned checks = checks_for(outcome, scope, &backend->round);
    enum scope_step step = destination_failed(&backend->destination, outcome->verdict,
                                              outcome->flight->backend_probe, checks, outcome->now_ms);
    backend->by_routes = by_routes;
    scope->unreached = outcome->reply->failure == TRANSFER_UNREACHABLE;
    scope->firm = scope->asked = outcome_kind(outcome) == OUTCOME_ASKS_TO_WAIT;
    announce_reason(&backend->report, outcome->reason);
    if (step == SCOPE_WAIT)
        wait_for_next(outcome->flight->deliver, backend, NULL, outcome_backoff_ms(outcome, scope->rounds),
                      outcome_kind(outcome) != OUTCOME_DOUBTFUL);
}

void round_suspect_route(const struct outcome *outcome)
{
    struct route_state *route = outcome->flight->route;
    struct scope *scope = &route->scope;
    if (!scope_counts(scope, outcome->flight->route_probe))
        return;
    enum scope_step step = scope_failed(scope, VERDICT_MISCONFIGURED, outcome->flight->route_probe,
                                        checks_for(outcome, scope, &route->round), outcome->now_ms);
    scope->asked = outcome_kind(outcome) == OUTCOME_ASKS_TO_WAIT;
    announce_reason(&route->report, outcome->reason);
    if (step == SCOPE_WAIT)
        wait_for_next(outcome->flight->deliver, route->backend, route,
                      outcome_backoff_ms(outcome, scope->rounds), outcome_kind(outcome) != OUTCOME_DOUBTFUL);
}

bool deliver_try_early(struct deliver *deliver, bool only_unreached)
{
    int64_t now_ms = clock_uptime_ms();
    bool any = false;
    for (size_t i = 0; i < deliver->config->backend_count; i++) {
        struct scope *scope = &deliver->backends[i].destination.scope;
        any |= (scope->unreached || !only_unreached) && scope_hurry(scope, now_ms);
    }
    for (size_t i = 0; !only_unreached && i < deliver->config->route_count; i++)
        any |= scope_hurry(&deliver->routes[i].scope, now_ms);
    if (any)
        deliver_wake_at(deliver, now_ms);
    return any;
}
