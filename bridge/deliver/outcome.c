/* deliver/outcome.c - see deliver/outcome.h. */
#include "deliver/outcome.h"
#include "base/backoff.h"
#include "base/clock.h"

enum outcome_kind outcome_kind(const struct outcome *outcome)
{
    const struct reply *reply = outcome->reply;
    if (reply->failure == TRANSFER_BROKEN)
        return OUTCOME_DOUBTFUL;
    if (reply->failure != TRANSFER_OK)
        return OUTCOME_CERTAIN;
    return reply->status == 429 || reply->retry_after ? OUTCOME_ASKS_TO_WAIT : OUTCOME_DOUBTFUL;
}

bool outcome_broke_with_others(const struct outcome *outcome)
{
    return outcome->reply->failure == TRANSFER_BROKEN && !outcome->reply->timed_out &&
           outcome->flight->route->backend->destination.http_version == 2;
}

bool outcome_is_of_proxy(const struct outcome *outcome)
{
    const struct reply *reply = outcome->reply;
    return reply->failure != TRANSFER_OK || (reply->status >= 502 && reply->status <= 504);
}

/* Of the backend's clock, if it is known: a date in Retry-After then means the same on a machine whose
 * clock is wrong, or is set later (RFC 9110, section 6.6.1). */
static int64_t wall_ms_there(const struct outcome *outcome)
{
    int64_t wall_ms;
    if (outcome->reply->date && clock_parse_http_date(outcome->reply->date, &wall_ms) == 0)
        return wall_ms;
    return queue_now_ms(outcome->flight->deliver->queue);
}

int64_t outcome_backoff_ms(const struct outcome *outcome, unsigned failures)
{
    const struct config_backend *backend = outcome->flight->route->backend->config;
    int64_t wait_ms = backoff_wait_ms(backend->retry_min_ms, backend->retry_max_ms, failures, clock_chance());
    int64_t asked_ms;
    if (outcome->reply->retry_after &&
        backoff_retry_after_ms(outcome->reply->retry_after, wall_ms_there(outcome), backend->retry_max_ms,
                               &asked_ms) == 0 &&
        asked_ms > wait_ms)
        wait_ms = asked_ms; /* never sooner than otherwise: "0", or a date in the past, makes no hot loop */
    return wait_ms;
}

static bool is_in(const struct flight *flight, const struct lane *lane)
{
    for (unsigned i = 0; i < flight->count; i++)
        if (flight->lanes[i] == lane)
            return true;
    return false;
}

/* Messages behind one that failed are no comparison where they must not overtake it. Where the
 * backend asked to wait, only what starts after that is one. */
static bool has_other(const struct outcome *outcome, const struct lane *lane)
{
    const struct flight *flight = outcome->flight;
    bool asks = outcome_kind(outcome) == OUTCOME_ASKS_TO_WAIT;
    if (!is_in(flight, lane))
        return lane->count > 0 && (lane->in_flight ? !asks : lane->not_before_ms <= outcome->now_ms);
    bool strict = lane->route->config->on_failure == CONFIG_ON_FAILURE_WAIT;
    return lane->count > flight->count && !strict && !asks;
}

bool outcome_has_others(const struct outcome *outcome, bool whole_backend)
{
    const struct flight *flight = outcome->flight;
    for (size_t i = 0; i < flight->deliver->config->route_count; i++) {
        const struct route_state *route = &flight->deliver->routes[i];
        if (whole_backend ? route->backend != flight->route->backend : route != flight->route)
            continue;
        for (size_t k = 0; k < ROUTE_LANES; k++)
            if (has_other(outcome, &route->lanes[k]))
                return true;
    }
    return false;
}
