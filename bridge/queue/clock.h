/* queue/clock.h - runs and their times, inside the queue. */
#ifndef SLUICE_QUEUE_CLOCK_H
#define SLUICE_QUEUE_CLOCK_H

#include "queue/internal.h"

/* In a transaction: starts a run. The caller uses *ret once that is committed. */
int queue_run_start(struct queue *queue, const struct clock_epoch *now, struct run_clock *ret);
/* queue_clock_changed, with the clock as an argument. */
int queue_clock_set(struct queue *queue, const struct clock_epoch *now);
/* In a transaction: writes what queue_drained_set was given, at most every ten minutes, or
 * at the end of the run. */
int queue_drained_save(struct queue *queue, bool at_end);

#endif
