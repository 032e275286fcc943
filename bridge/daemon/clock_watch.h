/* daemon/clock_watch.h - notices that the wall clock changed, and has the times of
 * messages repaired; where it does not become right, says why and what to do. */
#ifndef SLUICE_CLOCK_WATCH_H
#define SLUICE_CLOCK_WATCH_H

#include "queue/queue.h"
#include <uv.h>

struct clock_watch;

/* Keeps what it is given. */
struct clock_watch *clock_watch_new(uv_loop_t *loop, struct queue *queue);

/* Asks the kernel. To be called now and then, every ten seconds or so: only steps
 * of the clock come by themselves. */
void clock_watch_look(struct clock_watch *watch, int64_t uptime_ms);

/* Takes NULL. Memory is let go when the loop has run once more. */
void clock_watch_free(struct clock_watch *watch);

#endif
