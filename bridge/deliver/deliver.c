/* deliver/deliver.c - the engine: which lane sends next, and when.
 *
 * A lane with work and no request under way stands in its backend's line. While
 * the destination admits another request, the first lane in line whose route
 * admits it too sends what it has (deliver/send.c); when the answer was acted upon
 * (deliver/response.c), the lane goes to the end of the line. So ready lanes take
 * the budget in rotation, and the probe of a suspected scope comes from another
 * lane than the one that failed, wherever another has work.
 *
 * Every wait (a suspicion's, a message's own) is an uptime; one timer is set to
 * the earliest, and then every backend is looked at again.
 */
#include "deliver/deliver.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "deliver/internal.h"
#include "queue/confirm.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
    BURIALS_MOST = 32,      /* in one go: each is a transaction */
    PUMP_MS = 20,           /* in one go: requests of many messages take long to make */
    SETTLE_MS = 1000,       /* deletes get a commit of their own after this */
    SETTLE_MOST = 2000,     /* or when there are so many */
    SETTLED_MOST = 20000,   /* that cannot be deleted: more are not delivered, they would be sent again */
    END_RETRY_MS = 20,      /* while a stop waits for the last deletes */
    BUSY_RETRY_MS = 50,     /* someone else holds the database's lock */
    STORAGE_RETRY_MS = 5000 /* the storage fails */
};

static int64_t storage_retry_ms(int error)
{
    return error == -EBUSY ? BUSY_RETRY_MS : STORAGE_RETRY_MS;
}

/* ---- claims ---- */

void deliver_line_up(struct deliver *deliver, struct lane *lane)
{
    if (lane->in_line || lane->in_flight || lane->count == 0)
        return;
    TAILQ_INSERT_TAIL(&lane->route->backend->line, lane, line);
    lane->in_line = true;
    if (lane->linger_until_ms == 0 && lane->route->config->linger_ms > 0) {
        lane->linger_until_ms = clock_uptime_ms() + lane->route->config->linger_ms;
        deliver_wake_at(deliver, lane->linger_until_ms);
    }
}

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

/* Whether the lane must wait for the requests under way. A probe does not wait:
 * those that hang may be what raised the suspicion. */
static bool waits_for_others(const struct backend_state *backend, const struct lane *lane)
{
    return deliver_must_isolate(lane) && backend->destination.in_flight > 0 &&
           !backend->destination.scope.suspected;
}

static void on_scan(uv_idle_t *idle);

/* Has the queue read again for a lane that runs empty. */
static void feed(struct deliver *deliver, const struct lane *lane)
{
    if (deliver_lanes_hungry(lane))
        uv_idle_start(&deliver->scan, on_scan);
}

void deliver_feed(struct deliver *deliver)
{
    uv_idle_start(&deliver->scan, on_scan);
}

void deliver_pump(struct deliver *deliver, struct backend_state *backend)
{
    int64_t now_ms = clock_uptime_ms();
    int gone = 0;
    while (!deliver->paused && !backend->isolated && destination_admits(&backend->destination, now_ms)) {
        if (queue_settled_count(deliver->queue) >= SETTLED_MOST)
            return; /* on_settle goes on, when deletes are possible again */
        struct lane *lane = next_in_line(backend, now_ms);
        if (!lane || waits_for_others(backend, lane))
            return;
        if (clock_uptime_ms() - now_ms >= PUMP_MS) {
            deliver_wake_at(deliver, now_ms); /* others have their turn first */
            return;
        }
        int64_t rate_wait = rate_wait_ms(&backend->rate, deliver_send_most(lane), now_ms);
        if (rate_wait > 0) {
            deliver_wake_at(deliver, now_ms + rate_wait);
            return;
        }
        TAILQ_REMOVE(&backend->line, lane, line);
        lane->in_line = false;
        int error = deliver_send(deliver, lane, linger_until_ms(lane) > now_ms);
        if (error == 0)
            continue;
        if (error == -EAGAIN) {
            lane->look_count = lane->count + lane->count / 8 + 1;
            deliver_line_up(deliver, lane);
            continue;
        }
        if (error != -ENOMSG) {
            lane->not_before_ms = now_ms + storage_retry_ms(error);
            deliver_wake_at(deliver, lane->not_before_ms);
        }
        deliver_line_up(deliver, lane);
        feed(deliver, lane);
        if (++gone == BURIALS_MOST) {
            deliver_wake_at(deliver, now_ms);
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
        deliver_pump(deliver, &deliver->backends[i]);
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

static void on_wake(uv_timer_t *timer);

void deliver_wake_at(struct deliver *deliver, int64_t uptime_ms)
{
    if (uptime_ms >= deliver->wake_at_ms)
        return;
    deliver->wake_at_ms = uptime_ms;
    int64_t wait_ms = uptime_ms - clock_uptime_ms();
    uv_update_time(deliver->loop);
    uv_timer_start(&deliver->wake, on_wake, wait_ms > 0 ? (uint64_t)wait_ms : 1, 0);
}

static void wake_for_lanes(struct deliver *deliver, struct route_state *route, int64_t now_ms)
{
    for (size_t i = 0; i < ROUTE_LANES; i++) {
        const struct lane *lane = &route->lanes[i];
        if (lane->in_line && lane->not_before_ms > now_ms)
            deliver_wake_at(deliver, lane->not_before_ms);
        if (lane->in_line &&
            lane->linger_until_ms > now_ms) /* also where it does not wait for that just now */
            deliver_wake_at(deliver, lane->linger_until_ms);
    }
}

static void wake_for_scope(struct deliver *deliver, const struct scope *scope, int64_t now_ms)
{
    if (scope->suspected && !scope->probing && scope->retry_at_ms > now_ms)
        deliver_wake_at(deliver, scope->retry_at_ms);
}

static void on_wake(uv_timer_t *timer)
{
    struct deliver *deliver = timer->data;
    deliver->wake_at_ms = INT64_MAX;
    if (deliver->scan_failed)
        uv_idle_start(&deliver->scan, on_scan);
    int64_t now_ms = clock_uptime_ms(); /* before the pumps, or a wait that ends after them gets lost */
    for (size_t i = 0; i < deliver->config->backend_count; i++)
        deliver_pump(deliver, &deliver->backends[i]);
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
    int more = deliver_lanes_step(deliver);
    if (more > 0)
        uv_idle_start(idle, on_scan);
    else
        uv_idle_stop(idle);
    deliver->scan_failed = more < 0;
    if (more < 0)
        deliver_wake_at(deliver, clock_uptime_ms() + storage_retry_ms(more));
    for (size_t i = 0; i < deliver->config->backend_count; i++)
        deliver_pump(deliver, &deliver->backends[i]);
}

void deliver_released(struct deliver *deliver)
{
    deliver->tail = queue_last_id(deliver->queue);
    if (!uv_is_active((uv_handle_t *)&deliver->scan))
        on_scan(&deliver->scan);
}

/* ---- deletes ---- */

static bool is_end_awaited(const struct deliver *deliver)
{
    return queue_settled_count(deliver->queue) > 0 || queue_is_awaited(deliver->queue, deliver->end_id);
}

static void check_idle(struct deliver *deliver)
{
    if (!deliver->idle || deliver->in_flight > 0 || (deliver->to_end && is_end_awaited(deliver)))
        return;
    deliver_idle_fn *idle = deliver->idle;
    deliver->idle = NULL;
    idle(deliver->idle_context);
}

static void on_settle(uv_timer_t *timer)
{
    struct deliver *deliver = timer->data;
    uv_timer_stop(timer);
    if (queue_settled_count(deliver->queue) > 0) {
        bool stood_still = queue_settled_count(deliver->queue) >= SETTLED_MOST;
        int error = queue_settle_commit(deliver->queue, SIZE_MAX);
        deliver->settle_failed = error != 0;
        if (error != 0)
            uv_timer_start(timer, on_settle, (uint64_t)storage_retry_ms(error), 0);
        else if (stood_still)
            deliver_wake_at(deliver, clock_uptime_ms());
    }
    if (deliver->to_end && is_end_awaited(deliver))
        uv_timer_start(timer, on_settle, END_RETRY_MS, 0);
    else if (queue_unconfirmed_count(deliver->queue) > 0 && !uv_is_active((uv_handle_t *)timer))
        uv_timer_start(timer, on_settle, SETTLE_MS, 0);
    check_idle(deliver);
}

void deliver_settled(struct deliver *deliver)
{
    bool set = uv_is_active((uv_handle_t *)&deliver->settle);
    if (queue_settled_count(deliver->queue) < 2 * SETTLE_MOST || deliver->settle_failed) {
        if (!set)
            uv_timer_start(&deliver->settle, on_settle, SETTLE_MS, 0);
        return;
    }
    int error = queue_settle_commit(deliver->queue, SETTLE_MOST);
    deliver->settle_failed = error != 0;
    uv_timer_start(&deliver->settle, on_settle, error == 0 ? SETTLE_MS : (uint64_t)storage_retry_ms(error),
                   0);
}

/* From the loop: whoever waits for it may then take the engine apart. */
static void settle_soon(struct deliver *deliver)
{
    uv_timer_start(&deliver->settle, on_settle, 0, 0);
}

/* ---- the end of a request ---- */

void deliver_landed(struct deliver *deliver, struct lane *lane)
{
    lane->in_flight = false;
    deliver->in_flight--;
    deliver_line_up(deliver, lane);
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
        route->lane_ids = 2 * route->config->batch > LANE_IDS ? 2 * route->config->batch : LANE_IDS;
        route->batch_bytes = (size_t)route->config->batch_size;
        for (size_t j = 0; j < ROUTE_LANES; j++)
            route->lanes[j].route = route;
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
        transfer_free(deliver->backends[i].transfer, deliver_flight_drop);
        free(deliver->backends[i].told.words);
    }
    for (size_t i = 0; i < deliver->config->route_count; i++) {
        deliver_lanes_free(&deliver->routes[i]);
        free(deliver->routes[i].told.words);
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

static int64_t told_since(const struct scope *scope, const struct told *told)
{
    return scope->suspected && scope->announced ? scope->since_ms : told->before_ms;
}

/* Of those of the old configuration, backends first. The caller frees it. */
static int64_t *list_outages(const struct deliver *deliver)
{
    size_t backends = deliver->config->backend_count, routes = deliver->config->route_count;
    int64_t *since_ms = xcalloc(backends + routes, sizeof *since_ms);
    for (size_t i = 0; i < backends; i++)
        since_ms[i] = told_since(&deliver->backends[i].destination.scope, &deliver->backends[i].told);
    for (size_t i = 0; i < routes; i++)
        since_ms[backends + i] = told_since(&deliver->routes[i].scope, &deliver->routes[i].told);
    return since_ms;
}

/* Everything is tried anew; but who was told that something does not work is told when
 * it does, and since when it did not. */
static void carry_over(struct deliver *deliver, const struct config *old, const int64_t *since_ms)
{
    for (size_t i = 0; i < old->backend_count; i++)
        for (size_t j = 0; j < deliver->config->backend_count; j++)
            if (strcmp(old->backends[i].name, deliver->config->backends[j].name) == 0)
                deliver->backends[j].told.before_ms = since_ms[i];
    for (size_t i = 0; i < old->route_count; i++) {
        size_t number = config_find_route(deliver->config, old->routes[i].name);
        if (number != SIZE_MAX)
            deliver->routes[number].told.before_ms = since_ms[old->backend_count + i];
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
