/* daemon/wear.h - what sluice writes to the disk, for the log: SD cards wear out. */
#ifndef SLUICE_DAEMON_WEAR_H
#define SLUICE_DAEMON_WEAR_H

#include "base/metrics.h"
#include "db/vfs.h"
#include <uv.h>

struct wear {
    uv_timer_t timer;
    const struct metrics *metrics;
    struct db_wear last; /* at the last line in the log */
    uint64_t last_stored;
};

/* Logs once an hour what was written in it, if anything was. To be ended by uv_close() of
 * `timer`. */
void wear_start(struct wear *wear, uv_loop_t *loop, const struct metrics *metrics);

/* "3 fsyncs, 12.3 KB written (1.50 and 6.2 KB a message)", since the start; freed by the
 * caller. */
char *wear_text(uint64_t stored);

#endif
