/* deliver/deferred.c - see deliver/deferred.h. */
#include "deliver/deferred.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "deliver/lanes.h"
#include "deliver/line.h"

#include <errno.h>

enum {
    STEP_ROWS = 256,
    REPORT_EVERY_MS = 60 * 1000, /* of a route */
    SHARE = 4,                   /* they may have one of so many places of the budget, and of the time */
};

static void insert(struct deferred *deferred)
{
    struct deferred_list *list = &deferred->route->backend->deferred;
    struct deferred *at = TAILQ_LAST(list, deferred_list);
    while (at && at->not_before_ms > deferred->not_before_ms)
        at = TAILQ_PREV(at, deferred_list, others);
    if (at)
        TAILQ_INSERT_AFTER(list, at, deferred, others);
    else
        TAILQ_INSERT_HEAD(list, deferred, others);
}

static struct deferred *make(struct deliver *deliver, struct route_state *route, int64_t id,
                             int64_t not_before_ms)
{
    struct deferred *deferred = xcalloc(1, sizeof *deferred);
    deferred->id = id;
    deferred->route = route;
    deferred->not_before_ms = not_before_ms;
    insert(deferred);
    deliver->deferred++;
    deliver_wake_at(deliver, not_before_ms);
    return deferred;
}

static void report(struct route_state *route, int64_t id, const char *reason)
{
    uint64_t times = throttle_due(&route->deferrals, 1, clock_uptime_ms(), REPORT_EVERY_MS);
    if (times == 1)
        log_notice(EVENT_MESSAGE_DEFERRED, "route %s: message %lld is deferred (%s)", route->config->name,
                   (long long)id, reason);
    else if (times > 1)
        log_notice(EVENT_MESSAGE_DEFERRED,
                   "route %s: message %lld is deferred (%s), and so were %llu others since the last report",
                   route->config->name, (long long)id, reason, (unsigned long long)times - 1);
}

int deferred_add(struct deliver *deliver, struct lane *lane, int64_t id, int64_t wait_ms)
{
    struct suspect *suspect = ring_at(lane, ring_find(lane, id))->suspect;
    const struct failure *last = &suspect->last;
    int error = queue_defer(deliver->queue, id);
    if (error == 0)
        report(lane->route, id, last->reason);
    if (error != 0 && error != -ENOENT)
        return error;
    if (error == 0 && !suspect->owed)
        queue_blame(deliver->queue, id, suspect->attempts, last->status, last->reason, last->wall_ms);
    if (error == 0 && deliver->deferred < DEFERRED_MOST) {
        struct deferred *deferred = make(deliver, lane->route, id, clock_uptime_ms() + wait_ms);
        deferred->suspect = *suspect;
        *suspect = (struct suspect){.attempts = 0};
    } else if (error == 0) {
        deliver->deferred_left = true;
        if (id <= deliver->deferred_after)
            deliver->deferred_after = id - 1;
    }
    lanes_remove(deliver, lane, id);
    return 0;
}

void deferred_move(struct deliver *deliver, struct deferred *deferred, int64_t not_before_ms)
{
    TAILQ_REMOVE(&deferred->route->backend->deferred, deferred, others);
    deferred->not_before_ms = not_before_ms;
    insert(deferred);
    deliver_wake_at(deliver, not_before_ms);
}

void deferred_remove(struct deliver *deliver, struct deferred *deferred)
{
    TAILQ_REMOVE(&deferred->route->backend->deferred, deferred, others);
    suspect_done(&deferred->suspect);
    free(deferred);
    deliver->deferred--;
    if (deliver->deferred_left && deliver->deferred == DEFERRED_MOST / 2)
        deliver_feed(deliver);
}

struct deferred *deferred_next(const struct backend_state *backend, int64_t now_ms, bool busy)
{
    unsigned most = destination_budget(&backend->destination) / SHARE;
    if (busy ? backend->deferred_in_flight > 0 || now_ms < backend->deferred_after_ms
             : backend->deferred_in_flight >= (most > 0 ? most : 1))
        return NULL;
    struct deferred *deferred;
    TAILQ_FOREACH(deferred, &backend->deferred, others) {
        if (deferred->not_before_ms > now_ms)
            return NULL;
        const struct scope *scope = &deferred->route->scope;
        if (!deferred->in_flight && scope_admits(scope, now_ms) &&
            (backend->destination.scope.suspected || !scope_is_checking(scope)))
            return deferred;
    }
    return NULL;
}

void deferred_ended(struct backend_state *backend, struct deferred *deferred, int64_t now_ms)
{
    deferred->in_flight = false;
    backend->deferred_in_flight--;
    backend->deferred_after_ms = now_ms + SHARE * (now_ms - deferred->started_ms);
}

bool deferred_has(const struct deliver *deliver, int64_t id)
{
    const struct deferred *deferred;
    for (size_t i = 0; i < deliver->config->backend_count; i++)
        TAILQ_FOREACH(deferred, &deliver->backends[i].deferred, others)
            if (deferred->id == id)
                return true;
    return false;
}

/* Rows of a route that the configuration does not have are held. */
static void visit(void *context, int64_t id, const char *route_name, unsigned attempts)
{
    struct deliver *deliver = context;
    size_t index = config_find_route(deliver->config, route_name);
    deliver->deferred_after = id;
    if (index == SIZE_MAX || deferred_has(deliver, id) || queue_is_settled(deliver->queue, id))
        return;
    struct route_state *route = &deliver->routes[index];
    const struct config_backend *backend = route->backend->config;
    int64_t wait_ms = backoff_wait_ms(backend->retry_min_ms, backend->retry_max_ms, attempts, clock_chance());
    make(deliver, route, id, clock_uptime_ms() + wait_ms)->suspect.attempts = attempts;
}

int deferred_step(struct deliver *deliver)
{
    if (!deliver->deferred_left || deliver->deferred > DEFERRED_MOST / 2)
        return 0;
    int rows = queue_scan_deferred(deliver->queue, deliver->deferred_after, STEP_ROWS, visit, deliver);
    if (rows < 0)
        return rows;
    if (rows < STEP_ROWS) {
        deliver->deferred_left = false;
        deliver->deferred_after = 0;
    }
    return deliver->deferred_left && deliver->deferred <= DEFERRED_MOST / 2;
}

void deferred_forget(struct deliver *deliver, int64_t lowest)
{
    struct deferred *deferred, *next;
    for (size_t i = 0; i < deliver->config->backend_count; i++)
        for (deferred = TAILQ_FIRST(&deliver->backends[i].deferred); deferred; deferred = next) {
            next = TAILQ_NEXT(deferred, others);
            if (deferred->id < lowest || queue_is_deferred(deliver->queue, deferred->id))
                continue;
            deferred->ended = deferred->in_flight;
            if (!deferred->in_flight)
                deferred_remove(deliver, deferred);
        }
}

void deferred_free(struct deliver *deliver, struct backend_state *backend)
{
    struct deferred *deferred;
    while ((deferred = TAILQ_FIRST(&backend->deferred)))
        deferred_remove(deliver, deferred);
}
