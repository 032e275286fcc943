/* deliver/deliver.c - the engine: which lane sends next, and when.
 *
 * A lane with work and no request in flight stands in its backend's line. While
 * the destination admits another request, the first lane in line whose route
 * admits it too sends what it has (deliver/send.c). After its response was acted on
 * (deliver/response.c), the lane goes to the end of the line. So ready lanes take
 * the budget in rotation, and the probe of a suspected scope comes from another
 * lane than the one that failed, wherever another has work.
 *
 * Every wait (a suspicion's, a message's own) is an uptime; one timer is set to
 * the earliest, and then every backend is looked at again.
 */
#include "deliver/deliver.h"
#include "base/clock.h"
#include "deliver/announce.h"
#include "deliver/dead_letter.h"
#include "deliver/internal.h"
#include "deliver/lanes.h"
#include "deliver/line.h"
#include "deliver/response.h"
#include "deliver/send.h"
#include "deliver/settle.h"

#include <string.h>

enum {
    GONE_MOST = 32, /* in one go: each may have been a transaction */
    PUMP_MS = 20,   /* in one go: requests of many messages take long to make */
};

/* ---- the next request ---- */

/* Until when a lane without a full batch waits for more; 0: it does not. A probe does
 * not, nor what failed before. */
static int64_t linger_until_ms(const struct lane *lane)
{
    const struct route_state *route = lane->route;
    if (route->config->linger_ms == 0 || lane->count >= route->config->batch || lane->behind ||
        lane->suspect.id != 0 || (lane->halves && lane->halves->count > 0) || route->scope.suspected ||
        route->backend->destination.scope.suspected)
        return 0;
    return lane->linger_until_ms;
}

static bool is_ready(const struct lane *lane, int64_t now_ms)
{
    return lane->not_before_ms <= now_ms &&
           (linger_until_ms(lane) <= now_ms || lane->count >= lane->look_count) &&
           scope_admits(&lane->route->scope, now_ms);
}

static struct lane *next_in_line(struct backend_state *backend, int64_t now_ms)
{
    struct lane *lane;
    TAILQ_FOREACH(lane, &backend->line, line)
        if (is_ready(lane, now_ms))
            return lane;
    return NULL;
}

/* Whether the lane must wait for the requests in flight. A probe does not wait:
 * those that hang may have raised the suspicion. */
static bool waits_for_others(const struct backend_state *backend, const struct lane *lane)
{
    return send_must_isolate(lane) && backend->destination.in_flight > 0 &&
           !backend->destination.scope.suspected;
}

static void on_scan(uv_idle_t *idle);
static void on_done(void *context, const struct reply *reply);

/* Has the queue read again for a lane that runs empty. */
static void feed(struct deliver *deliver, const struct lane *lane)
{
    if (lanes_is_hungry(lane))
        uv_idle_start(&deliver->scan, on_scan);
}

static void pump(struct deliver *deliver, struct backend_state *backend)
{
    int64_t now_ms = clock_uptime_ms();
    int gone = 0;
    while (!deliver->paused && !backend->isolated && destination_admits(&backend->destination, now_ms)) {
        if (settle_is_full(deliver))
            return; /* it wakes us when deletes are possible again */
        struct lane *lane = next_in_line(backend, now_ms);
        if (!lane || waits_for_others(backend, lane))
            return;
        if (clock_uptime_ms() - now_ms >= PUMP_MS) {
            line_wake_at(deliver, now_ms); /* others have their turn first */
            return;
        }
        int64_t rate_wait = rate_wait_ms(&backend->rate, send_most(lane), now_ms);
        if (rate_wait > 0) {
            line_wake_at(deliver, now_ms + rate_wait);
            return;
        }
        line_leave(lane);
        int error = send_next(deliver, lane, linger_until_ms(lane) > now_ms, on_done);
        if (error == 0)
            continue;
        if (error == -EAGAIN) {
            lane->look_count = lane->count + lane->count / 8 + 1;
            line_join(deliver, lane);
            continue;
        }
        if (error != -ENOMSG) {
            lane->not_before_ms = now_ms + storage_retry_ms(error);
            line_wake_at(deliver, lane->not_before_ms);
        }
        line_join(deliver, lane);
        feed(deliver, lane);
        if (++gone == GONE_MOST) {
            line_wake_at(deliver, now_ms);
            return;
        }
    }
}

static void pump_due(struct deliver *deliver)
{
    for (size_t i = 0; i < deliver->config->backend_count; i++) {
        if (!deliver->backends[i].pump_due)
            continue;
        deliver->backends[i].pump_due = false;
        pump(deliver, &deliver->backends[i]);
    }
}

static void on_after_poll(uv_check_t *check)
{
    struct deliver *deliver = check->data;
    deliver->fresh = false;
    pump_due(deliver);
}

static void on_before_poll(uv_prepare_t *prepare)
{
    pump_due(prepare->data);
}

/* ---- waits ---- */

static void wake_for_lanes(struct deliver *deliver, struct route_state *route, int64_t now_ms)
{
    for (size_t i = 0; i < ROUTE_LANES; i++) {
        const struct lane *lane = &route->lanes[i];
        if (lane->in_line && lane->not_before_ms > now_ms)
            line_wake_at(deliver, lane->not_before_ms);
        if (lane->in_line &&
            lane->linger_until_ms > now_ms) /* also where it does not wait for that just now */
            line_wake_at(deliver, lane->linger_until_ms);
    }
}

static void wake_for_scope(struct deliver *deliver, const struct scope *scope, int64_t now_ms)
{
    if (scope->suspected && !scope->probing && scope->retry_at_ms > now_ms)
        line_wake_at(deliver, scope->retry_at_ms);
}

static void on_wake(uv_timer_t *timer)
{
    struct deliver *deliver = timer->data;
    deliver->wake_at_ms = INT64_MAX;
    if (deliver->scan_failed)
        uv_idle_start(&deliver->scan, on_scan);
    int64_t now_ms = clock_uptime_ms(); /* before the pumps, or a wait that ends after them gets lost */
    for (size_t i = 0; i < deliver->config->backend_count; i++)
        pump(deliver, &deliver->backends[i]);
    for (size_t i = 0; i < deliver->config->backend_count; i++)
        wake_for_scope(deliver, &deliver->backends[i].destination.scope, now_ms);
    for (size_t i = 0; i < deliver->config->route_count; i++) {
        wake_for_scope(deliver, &deliver->routes[i].scope, now_ms);
        wake_for_lanes(deliver, &deliver->routes[i], now_ms);
    }
}

/* ---- reading the queue ---- */

static void on_scan(uv_idle_t *idle)
{
    struct deliver *deliver = idle->data;
    int more = lanes_step(deliver);
    if (more > 0)
        uv_idle_start(idle, on_scan);
    else
        uv_idle_stop(idle);
    deliver->scan_failed = more < 0;
    if (more < 0)
        line_wake_at(deliver, clock_uptime_ms() + storage_retry_ms(more));
    for (size_t i = 0; i < deliver->config->backend_count; i++)
        pump(deliver, &deliver->backends[i]);
}

void deliver_look_again(struct deliver *deliver, int64_t lowest)
{
    if (lanes_forget(deliver, lowest))
        uv_idle_start(&deliver->scan, on_scan);
}

void deliver_released(struct deliver *deliver)
{
    deliver->tail = queue_last_id(deliver->queue);
    if (!uv_is_active((uv_handle_t *)&deliver->scan))
        on_scan(&deliver->scan);
}

/* ---- the end of a request ---- */

static void on_done(void *context, const struct reply *reply)
{
    struct flight *flight = context;
    struct deliver *deliver = flight->deliver;
    struct lane *lane = flight->lane;
    response_act(flight, reply);
    send_drop(flight);
    lane->in_flight = false;
    deliver->in_flight--;
    line_join(deliver, lane);
    feed(deliver, lane);
    lane->route->backend->pump_due = true;
    if (deliver->paused && deliver->in_flight == 0)
        settle_soon(deliver);
}

void deliver_pause(struct deliver *deliver, bool to_end, deliver_idle_fn *idle, void *context)
{
    deliver->paused = true;
    deliver->to_end = to_end;
    deliver->end_id = queue_last_id(deliver->queue);
    deliver->idle = idle;
    deliver->idle_context = context;
    if (deliver->in_flight == 0)
        settle_soon(deliver);
}

/* ---- life ---- */

static void build(struct deliver *deliver, const struct config *config)
{
    deliver->config = config;
    deliver->backends = xcalloc(config->backend_count, sizeof *deliver->backends);
    deliver->routes = xcalloc(config->route_count, sizeof *deliver->routes);
    for (size_t i = 0; i < config->backend_count; i++) {
        struct backend_state *backend = &deliver->backends[i];
        backend->config = &config->backends[i];
        backend->transfer = transfer_new(deliver->loop, backend->config);
        destination_init(&backend->destination, backend->config->max_connections,
                         backend->config->max_in_flight);
        rate_init(&backend->rate, backend->config->rate_per_s, clock_uptime_ms());
        TAILQ_INIT(&backend->line);
    }
    for (size_t i = 0; i < config->route_count; i++) {
        struct route_state *route = &deliver->routes[i];
        route->config = &config->routes[i];
        route->backend = &deliver->backends[route->config->backend];
        route->batch_bytes = (size_t)route->config->batch_size;
        lanes_init(route);
    }
    deliver->frontier = 0;
    deliver->paused = deliver->to_end = false;
    deliver->idle = NULL;
    deliver->wake_at_ms = INT64_MAX;
    uv_idle_start(&deliver->scan, on_scan);
}

static void tear_down(struct deliver *deliver)
{
    for (size_t i = 0; i < deliver->config->backend_count; i++) {
        transfer_free(deliver->backends[i].transfer, send_drop);
        free(deliver->backends[i].announced.reason);
    }
    for (size_t i = 0; i < deliver->config->route_count; i++) {
        lanes_free(&deliver->routes[i]);
        free(deliver->routes[i].announced.reason);
    }
    free(deliver->backends);
    free(deliver->routes);
    request_done(&deliver->request);
    deliver->in_flight = deliver->copies = 0;
    uv_timer_stop(&deliver->wake);
    uv_idle_stop(&deliver->scan);
}

struct deliver *deliver_new(uv_loop_t *loop, struct queue *queue, const struct config *config,
                            struct metrics *metrics)
{
    transfer_library_init();
    struct deliver *deliver = xcalloc(1, sizeof *deliver);
    deliver->loop = loop;
    deliver->on_wake = on_wake;
    deliver->queue = queue;
    deliver->metrics = metrics;
    deliver->tail = queue_last_id(queue);
    uv_timer_init(loop, &deliver->wake);
    uv_timer_init(loop, &deliver->settle);
    uv_idle_init(loop, &deliver->scan);
    uv_check_init(loop, &deliver->after_poll);
    uv_prepare_init(loop, &deliver->before_poll);
    deliver->wake.data = deliver->settle.data = deliver->scan.data = deliver;
    deliver->after_poll.data = deliver->before_poll.data = deliver;
    deliver->open_handles = 5;
    uv_check_start(&deliver->after_poll, on_after_poll);
    uv_prepare_start(&deliver->before_poll, on_before_poll);
    build(deliver, config);
    return deliver;
}

/* Of those of the old configuration, backends first. The caller frees it. */
static int64_t *list_outages(const struct deliver *deliver)
{
    size_t backends = deliver->config->backend_count, routes = deliver->config->route_count;
    int64_t *since_ms = xcalloc(backends + routes, sizeof *since_ms);
    for (size_t i = 0; i < backends; i++)
        since_ms[i] =
            announce_since_ms(&deliver->backends[i].destination.scope, &deliver->backends[i].announced);
    for (size_t i = 0; i < routes; i++)
        since_ms[backends + i] = announce_since_ms(&deliver->routes[i].scope, &deliver->routes[i].announced);
    return since_ms;
}

/* Everything is tried anew. But a failure that was logged before the reload keeps the time
 * when it began, and its end is logged. */
static void carry_over(struct deliver *deliver, const struct config *old, const int64_t *since_ms)
{
    for (size_t i = 0; i < old->backend_count; i++)
        for (size_t j = 0; j < deliver->config->backend_count; j++)
            if (strcmp(old->backends[i].name, deliver->config->backends[j].name) == 0)
                deliver->backends[j].announced.before_ms = since_ms[i];
    for (size_t i = 0; i < old->route_count; i++) {
        size_t number = config_find_route(deliver->config, old->routes[i].name);
        if (number != SIZE_MAX)
            deliver->routes[number].announced.before_ms = since_ms[old->backend_count + i];
    }
}

void deliver_restart(struct deliver *deliver, const struct config *config)
{
    const struct config *old = deliver->config;
    cleanup_free int64_t *since_ms = list_outages(deliver);
    tear_down(deliver);
    build(deliver, config);
    carry_over(deliver, old, since_ms);
}

static void on_closed(uv_handle_t *handle)
{
    struct deliver *deliver = handle->data;
    if (--deliver->open_handles == 0)
        free(deliver);
}

void deliver_free(struct deliver *deliver)
{
    if (!deliver)
        return;
    tear_down(deliver);
    transfer_library_done();
    uv_close((uv_handle_t *)&deliver->wake, on_closed);
    uv_close((uv_handle_t *)&deliver->settle, on_closed);
    uv_close((uv_handle_t *)&deliver->scan, on_closed);
    uv_close((uv_handle_t *)&deliver->after_poll, on_closed);
    uv_close((uv_handle_t *)&deliver->before_poll, on_closed);
}

void deliver_log_rest(struct deliver *deliver)
{
    for (size_t i = 0; i < deliver->config->route_count; i++)
        dead_letter_log_rest(&deliver->routes[i], clock_uptime_ms());
}
