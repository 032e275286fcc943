/* daemon/loop_time.h - measures how long the event loop is busy without a pause. */
#ifndef SLUICE_DAEMON_LOOP_TIME_H
#define SLUICE_DAEMON_LOOP_TIME_H

#include "base/metrics.h"
#include <uv.h>

struct loop_time {
    uv_prepare_t round;      /* each time the loop comes round */
    struct metrics *metrics; /* longest_stall_ms; commit_ms is read */
    uint64_t at_ns;          /* when the last round ended; 0: do not count this one */
    uint64_t idle_ns;        /* since the start, waiting for events */
    int64_t run_delay_ns;
    int64_t commit_ms; /* since the start, in commits */
};

/* The loop needs UV_METRICS_IDLE_TIME. To be ended by uv_close() of `round`. */
void loop_time_start(struct loop_time *time, uv_loop_t *loop, struct metrics *metrics);

/* Does not count the round that is going on. */
void loop_time_skip_round(struct loop_time *time);

#endif
