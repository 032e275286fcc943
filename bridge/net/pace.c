/* net/pace.c - see net/pace.h. */
#include "net/pace.h"

uint64_t pace_rest_ms(uint64_t now_ms)
{
    return PACE_REST_MS - now_ms % PACE_REST_MS;
}

static void on_time(uv_timer_t *timer)
{
    struct pace *pace = (struct pace *)timer;
    bool soon = pace->work(timer->data);
    if (pace->work && !uv_is_closing((uv_handle_t *)timer))
        uv_timer_start(timer, on_time, soon ? PACE_MS : pace_rest_ms(uv_now(timer->loop)), 0);
}

void pace_start(struct pace *pace, uv_loop_t *loop, pace_work_fn *work, void *context)
{
    uv_timer_init(loop, &pace->timer);
    pace->timer.data = context;
    pace->work = work;
    uv_timer_start(&pace->timer, on_time, PACE_MS, 0);
}

void pace_hurry(struct pace *pace)
{
    if (pace->work && uv_timer_get_due_in(&pace->timer) > PACE_MS)
        uv_timer_start(&pace->timer, on_time, PACE_MS, 0);
}

void pace_stop(struct pace *pace)
{
    pace->work = NULL;
    uv_timer_stop(&pace->timer);
}
