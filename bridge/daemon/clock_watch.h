/* daemon/clock_watch.h - notices changes of the wall clock, and makes the queue repair the
 * times of its messages. If the clock does not become right, it logs the reason and advice. */
#ifndef SLUICE_CLOCK_WATCH_H
#define SLUICE_CLOCK_WATCH_H

#include "queue/queue.h"
#include <uv.h>

struct clock_watch;

/* loop and queue must live longer. on_set is called by the loop when the clock was set, or the machine
 * slept. */
typedef void clock_set_fn(void *context);
struct clock_watch *clock_watch_new(uv_loop_t *loop, struct queue *queue, clock_set_fn *on_set,
                                    void *context);

/* Asks the kernel. To be called about every ten seconds: only steps of the clock are noticed
 * without it. */
void clock_watch_look(struct clock_watch *watch, int64_t uptime_ms);

/* Takes NULL. The memory is freed when the loop has run once more. */
void clock_watch_free(struct clock_watch *watch);

#endif
