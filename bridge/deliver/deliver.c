/* deliver/deliver.c - the engine: the loop's callbacks, and which backend sends when.
 *
 * While a backend's destination admits another request, the next work is chosen
 * (deliver/choose.h) and sent (deliver/send.h); when the response was acted upon
 * (deliver/response.h), its lanes go to the end of the line.
 *
 * Every wait is an uptime; one timer is set to the earliest, and then every backend is looked at
 * again.
 */
#include "deliver/deliver.h"
#include "base/clock.h"
#include "base/log.h"
#include "deliver/choose.h"
#include "deliver/deferred.h"
#include "deliver/lanes.h"
#include "deliver/line.h"
#include "deliver/response.h"
#include "deliver/send.h"
#include "deliver/settle.h"

#include <errno.h>
#include <string.h>

enum {
    DECISIONS_MOST = 32, /* in one go, about messages that are not sent: each is a transaction */
    PUMP_MS = 20,        /* in one go: requests of many messages take long to make */
};

static void on_done(void *context, const struct reply *reply);

/* ---- sending ---- */

/* What was chosen could not be sent. */
static void put_back(struct deliver *deliver, const struct work *work, int error, int64_t now_ms)
{
    int64_t wait_ms = error != -ENOMSG && error != -EAGAIN ? storage_retry_ms(error) : 0;
    if (error == -EAGAIN) {
        unsigned waiting = work->lane->route->waiting - work->lane->route->flying;
        work->lane->route->look_count = waiting + waiting / 8 + 1;
    } else if (wait_ms > 0) {
        deliver->storage_ms = now_ms + wait_ms;
        deliver_wake_at(deliver, now_ms + wait_ms);
    }
    if (work->lane) {
        line_join(deliver, work->lane);
        lanes_feed(deliver, work->lane);
    }
}

static void pump(struct deliver *deliver, struct backend_state *backend)
{
    int64_t now_ms = clock_uptime_ms();
    int decisions = 0;
    while (!deliver->paused && !backend->isolated && destination_admits(&backend->destination, now_ms)) {
        if (settle_is_full(deliver))
            return; /* it goes on when deletes are possible again */
        if (now_ms < deliver->storage_ms) {
            deliver_wake_at(deliver, deliver->storage_ms);
            return;
        }
        struct work work;
        if (!choose_next(deliver, backend, now_ms, &work))
            return;
        /* A probe does not wait: the requests that hang may be what raised the suspicion. */
        if (choose_must_isolate(&work) && backend->destination.in_flight > 0 &&
            !backend->destination.scope.suspected)
            return;
        if (clock_uptime_ms() - now_ms >= PUMP_MS || decisions == DECISIONS_MOST) {
            deliver_wake_at(deliver, now_ms); /* others have their turn first */
            return;
        }
        int64_t rate_ms = rate_wait_ms(&backend->rate, choose_count(&work), now_ms);
        backend->rate_reserved = rate_ms > 0 && work.kind != WORK_DEFERRED;
        if (rate_ms > 0) {
            deliver_wake_at(deliver, now_ms + rate_ms);
            return;
        }
        int error = send_start(deliver, &work, on_done);
        if (error != 0) {
            put_back(deliver, &work, error, now_ms);
            decisions++;
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
        if (!lane->in_line)
            continue;
        const struct suspect *suspect = ring_at(lane, 0)->suspect;
        const int64_t waits_ms[] = {lane->not_before_ms, lane->linger_until_ms,
                                    suspect ? suspect->retry_at_ms : 0};
        for (size_t k = 0; k < ARRAY_LEN(waits_ms); k++)
            if (waits_ms[k] > now_ms)
                deliver_wake_at(deliver, waits_ms[k]);
    }
}

static void wake_for_scope(struct deliver *deliver, const struct scope *scope, int64_t now_ms)
{
    if (scope->suspected && !scope->probing && scope->retry_at_ms > now_ms)
        deliver_wake_at(deliver, scope->retry_at_ms);
}

static void wake_for_deferred(struct deliver *deliver, const struct backend_state *backend, int64_t now_ms)
{
    const struct deferred *deferred;
    TAILQ_FOREACH(deferred, &backend->deferred, others)
        if (deferred->not_before_ms > now_ms) {
            deliver_wake_at(deliver, deferred->not_before_ms);
            break;
        }
    deferred = TAILQ_FIRST(&backend->deferred);
    if (deferred && deferred->not_before_ms <= now_ms && backend->deferred_after_ms > now_ms)
        deliver_wake_at(deliver, backend->deferred_after_ms);
}

static void on_wake(uv_timer_t *timer)
{
    struct deliver *deliver = timer->data;
    deliver->wake_at_ms = INT64_MAX;
    if (deliver->rescan_from != 0) {
        deliver_look_again(deliver, deliver->rescan_from);
        deliver->rescan_from = 0;
    }
    if (deliver->scan_failed)
        deliver_feed(deliver);
    int64_t now_ms = clock_uptime_ms(); /* before the pumps, or a wait that ends after them gets lost */
    for (size_t i = 0; i < deliver->config->backend_count; i++)
        pump(deliver, &deliver->backends[i]);
    for (size_t i = 0; i < deliver->config->backend_count; i++) {
        wake_for_scope(deliver, &deliver->backends[i].destination.scope, now_ms);
        wake_for_deferred(deliver, &deliver->backends[i], now_ms);
    }
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
    if (more == 0)
        more = deferred_step(deliver);
    if (more > 0)
        uv_idle_start(idle, on_scan);
    else
        uv_idle_stop(idle);
    deliver->scan_failed = more < 0;
    if (more < 0)
        deliver_wake_at(deliver, clock_uptime_ms() + storage_retry_ms(more));
    for (size_t i = 0; i < deliver->config->backend_count; i++)
        pump(deliver, &deliver->backends[i]);
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
    uint64_t delivered = deliver->metrics->delivered;
    response_act(flight, reply);
    for (unsigned i = 0; i < flight->count; i++) {
        struct lane *lane = flight->lanes[i];
        if (lane)
            flight->route->flying--;
        if (!lane || !lane->in_flight)
            continue;
        lane->in_flight = false;
        line_join(deliver, lane);
        lanes_feed(deliver, lane);
    }
    flight->route->backend->pump_due = true;
    deliver->in_flight--;
    send_drop(flight);
    if (deliver->metrics->delivered > delivered)
        settle_later(deliver);
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

/* The route was held before the start, or the reload. */
static void hold_again(void *context, int64_t id, const char *route_name)
{
    struct deliver *deliver = context;
    size_t index = config_find_route(deliver->config, route_name);
    struct route_state *route = index == SIZE_MAX ? NULL : &deliver->routes[index];
    if (!route || route->returns == HOLD_AFTER)
        return;
    route->held = true;
    route->rejected_ids[route->returns++] = id;
    route->rejected_in_row = route->returns;
}

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
        TAILQ_INIT(&backend->deferred);
    }
    for (size_t i = 0; i < config->route_count; i++) {
        struct route_state *route = &deliver->routes[i];
        route->config = &config->routes[i];
        route->backend = &deliver->backends[route->config->backend];
        route->lane_ids = 2 * route->config->batch > LANE_IDS ? 2 * route->config->batch : LANE_IDS;
        route->batch_bytes = (size_t)route->config->batch_size;
        TAILQ_INIT(&route->parts);
        for (size_t j = 0; j < ROUTE_LANES; j++)
            route->lanes[j].route = route;
    }
    queue_held_each(deliver->queue, hold_again, deliver);
    deliver->frontier = deliver->rescan_from = deliver->deferred_after = deliver->storage_ms = 0;
    deliver->deferred = 0;
    deliver->deferred_left = true;
    deliver->paused = deliver->to_end = false;
    deliver->idle = NULL;
    deliver->wake_at_ms = INT64_MAX;
    uv_idle_start(&deliver->scan, on_scan);
}

static void tear_down(struct deliver *deliver)
{
    for (size_t i = 0; i < deliver->config->backend_count; i++) {
        transfer_free(deliver->backends[i].transfer, send_drop);
        deferred_free(deliver, &deliver->backends[i]);
        free(deliver->backends[i].report.reason);
    }
    for (size_t i = 0; i < deliver->config->route_count; i++) {
        part_forget_all(&deliver->routes[i]);
        lanes_free(&deliver->routes[i]);
        free(deliver->routes[i].report.reason);
        free(deliver->routes[i].page.text);
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
    deliver->on_scan = on_scan;
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

static int64_t reported_since(const struct scope *scope, const struct report *report)
{
    return scope->suspected && scope->announced ? scope->since_ms : report->before_ms;
}

/* What a reload keeps of each backend, then of each route. */
struct kept {
    int64_t since_ms; /* it does not work: who heard of that hears when it does */
    struct page page;
};

static struct kept *keep(struct deliver *deliver)
{
    size_t backends = deliver->config->backend_count, routes = deliver->config->route_count;
    struct kept *kept = xcalloc(backends + routes, sizeof *kept);
    for (size_t i = 0; i < backends; i++)
        kept[i].since_ms =
            reported_since(&deliver->backends[i].destination.scope, &deliver->backends[i].report);
    for (size_t i = 0; i < routes; i++) {
        struct route_state *route = &deliver->routes[i];
        kept[backends + i] =
            (struct kept){.since_ms = reported_since(&route->scope, &route->report), .page = route->page};
        route->page.text = NULL;
    }
    return kept;
}

static void carry_over(struct deliver *deliver, const struct config *old, struct kept *kept)
{
    for (size_t i = 0; i < old->backend_count; i++)
        for (size_t j = 0; j < deliver->config->backend_count; j++)
            if (strcmp(old->backends[i].name, deliver->config->backends[j].name) == 0)
                deliver->backends[j].report.before_ms = kept[i].since_ms;
    for (size_t i = 0; i < old->route_count; i++) {
        size_t number = config_find_route(deliver->config, old->routes[i].name);
        struct kept *of_route = &kept[old->backend_count + i];
        if (number == SIZE_MAX) {
            free(of_route->page.text);
            continue;
        }
        deliver->routes[number].report.before_ms = of_route->since_ms;
        deliver->routes[number].page = of_route->page;
    }
}

void deliver_restart(struct deliver *deliver, const struct config *config)
{
    const struct config *old = deliver->config;
    cleanup_free struct kept *kept = keep(deliver);
    tear_down(deliver);
    build(deliver, config);
    carry_over(deliver, old, kept);
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
