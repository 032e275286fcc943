/* deliver/line.c - see deliver/line.h. */
#include "deliver/line.h"
#include "base/clock.h"
#include "deliver/ring.h"

#include <errno.h>

enum {
    BUSY_RETRY_MS = 50,      /* another process holds the database's lock */
    STORAGE_RETRY_MS = 5000, /* the storage fails */
};

void line_join(struct deliver *deliver, struct lane *lane)
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

void line_leave(struct lane *lane)
{
    if (lane->in_line)
        TAILQ_REMOVE(&lane->route->backend->line, lane, line);
    lane->in_line = false;
}

static unsigned waiting(const struct route_state *route)
{
    return route->waiting - route->flying;
}

/* A probe does not wait for more, nor does a message that failed before. */
int64_t line_lingers_until_ms(const struct lane *lane)
{
    const struct route_state *route = lane->route;
    if (route->config->linger_ms == 0 || waiting(route) >= route->config->batch || lane->behind ||
        ring_at(lane, 0)->suspect || route->scope.suspected || route->backend->destination.scope.suspected)
        return 0;
    return lane->linger_until_ms;
}

/* Whether its first message failed, and waits by itself: once another one passed, it does not. But
 * where those behind it must wait (on_failure = wait) that is so for its second try only: it may have
 * many. While its scope is suspected, the scope says when the next probe starts. */
static bool waits(const struct lane *lane, int64_t now_ms)
{
    const struct suspect *suspect = ring_at(lane, 0)->suspect;
    bool strict = lane->route->config->on_failure == CONFIG_ON_FAILURE_WAIT;
    bool again = suspect && suspect_is_relieved(suspect) && (!strict || suspect->failures < 2);
    return suspect && suspect->retry_at_ms > now_ms && !again && !suspect->scope->suspected;
}

bool line_is_ready(const struct lane *lane, int64_t now_ms)
{
    const struct route_state *route = lane->route;
    bool probes = route->scope.suspected || route->backend->destination.scope.suspected;
    bool in_part =
        !probes && lane->parts > 0 && !ring_at(lane, 0)->suspect && part_holds(route, ring_at(lane, 0)->id);
    return !in_part && lane->not_before_ms <= now_ms && scope_admits(&route->scope, now_ms) &&
           !waits(lane, now_ms) &&
           (line_lingers_until_ms(lane) <= now_ms || waiting(route) >= route->look_count);
}

int64_t storage_retry_ms(int error)
{
    return error == -EBUSY ? BUSY_RETRY_MS : STORAGE_RETRY_MS;
}

void deliver_wake_at(struct deliver *deliver, int64_t uptime_ms)
{
    if (uptime_ms >= deliver->wake_at_ms)
        return;
    deliver->wake_at_ms = uptime_ms;
    int64_t wait_ms = uptime_ms - clock_uptime_ms();
    uv_update_time(deliver->loop);
    uv_timer_start(&deliver->wake, deliver->on_wake, wait_ms > 0 ? (uint64_t)wait_ms : 1, 0);
}

void deliver_feed(struct deliver *deliver)
{
    uv_idle_start(&deliver->scan, deliver->on_scan);
}
