/* deliver/line.c - the lanes that wait for their turn; see deliver/line.h. */
#include "deliver/line.h"

#include "base/clock.h"

void line_join(struct deliver *deliver, struct lane *lane)
{
    if (lane->in_line || lane->in_flight || lane->count == 0)
        return;
    TAILQ_INSERT_TAIL(&lane->route->backend->line, lane, line);
    lane->in_line = true;
    if (lane->linger_until_ms == 0 && lane->route->config->linger_ms > 0) {
        lane->linger_until_ms = clock_uptime_ms() + lane->route->config->linger_ms;
        line_wake_at(deliver, lane->linger_until_ms);
    }
}

void line_leave(struct lane *lane)
{
    if (lane->in_line)
        TAILQ_REMOVE(&lane->route->backend->line, lane, line);
    lane->in_line = false;
}

void line_wake_at(struct deliver *deliver, int64_t uptime_ms)
{
    if (uptime_ms >= deliver->wake_at_ms)
        return;
    deliver->wake_at_ms = uptime_ms;
    int64_t wait_ms = uptime_ms - clock_uptime_ms();
    uv_update_time(deliver->loop);
    uv_timer_start(&deliver->wake, deliver->on_wake, wait_ms > 0 ? (uint64_t)wait_ms : 1, 0);
}
