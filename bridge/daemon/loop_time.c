/* daemon/loop_time.c - see daemon/loop_time.h. */
#include "daemon/loop_time.h"
#include "base/fault.h"

/* The time of one round, less the time that it waited for events and the time of commits.
 * Callbacks of sockets run inside the polling of the loop, so the polling alone does not
 * tell these apart. */
static void on_round(uv_prepare_t *prepare)
{
    struct loop_time *time = prepare->data;
    struct loop_time now = {.at_ns = uv_hrtime(),
                            .idle_ns = uv_metrics_idle_time(prepare->loop),
                            .run_delay_ns = fault_run_delay_ns(),
                            .commit_ms = time->metrics->commit_ms};
    if (time->at_ns != 0) {
        int64_t waited_ns = (int64_t)(now.idle_ns - time->idle_ns) + now.run_delay_ns - time->run_delay_ns;
        int64_t busy_ms =
            ((int64_t)(now.at_ns - time->at_ns) - waited_ns) / 1000000 - (now.commit_ms - time->commit_ms);
        if (busy_ms > time->metrics->longest_stall_ms)
            time->metrics->longest_stall_ms = busy_ms;
    }
    time->at_ns = now.at_ns;
    time->idle_ns = now.idle_ns;
    time->run_delay_ns = now.run_delay_ns;
    time->commit_ms = now.commit_ms;
}

void loop_time_start(struct loop_time *time, uv_loop_t *loop, struct metrics *metrics)
{
    time->metrics = metrics;
    uv_prepare_init(loop, &time->round);
    time->round.data = time;
    uv_prepare_start(&time->round, on_round);
}

void loop_time_skip_round(struct loop_time *time)
{
    time->at_ns = 0;
}
