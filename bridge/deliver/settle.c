/* deliver/settle.c - deletes what was delivered; see deliver/settle.h. */
#include "deliver/settle.h"

#include "base/clock.h"
#include "deliver/line.h"
#include "queue/confirm.h"

enum {
    SETTLE_MS = 1000,     /* deletes get a commit of their own after this */
    SETTLE_MOST = 2000,   /* or when there are this many */
    SETTLED_MOST = 20000, /* undeleted ones, at most */
    END_RETRY_MS = 20,    /* while a stop waits for the last deletes */
};

bool settle_is_full(const struct deliver *deliver)
{
    return queue_settled_count(deliver->queue) >= SETTLED_MOST;
}

static bool is_end_awaited(const struct deliver *deliver)
{
    return queue_settled_count(deliver->queue) > 0 || queue_is_awaited(deliver->queue, deliver->end_id);
}

static void check_idle(struct deliver *deliver)
{
    if (!deliver->idle || deliver->in_flight > 0 || (deliver->to_end && is_end_awaited(deliver)))
        return;
    void (*idle)(void *) = deliver->idle;
    deliver->idle = NULL;
    idle(deliver->idle_context);
}

static void on_settle(uv_timer_t *timer)
{
    struct deliver *deliver = timer->data;
    uv_timer_stop(timer);
    if (queue_settled_count(deliver->queue) > 0) {
        bool stood_still = settle_is_full(deliver);
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

void settle_later(struct deliver *deliver)
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

void deliver_settle(struct deliver *deliver)
{
    if (queue_settled_count(deliver->queue) > 0 && !deliver->settle_failed)
        deliver->settle_failed = queue_settle_commit(deliver->queue, SIZE_MAX) != 0;
}

void settle_soon(struct deliver *deliver)
{
    uv_timer_start(&deliver->settle, on_settle, 0, 0);
}
