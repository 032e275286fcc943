/* net/pace.h - work that comes round: once a second while there is something to do, and seldom
 * otherwise. An idle machine then wakes up seldom: all paces of a loop that are at rest have the same
 * moments, the multiples of PACE_REST_MS.
 */
#ifndef SLUICE_NET_PACE_H
#define SLUICE_NET_PACE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum { PACE_MS = 1000, PACE_REST_MS = 15 * 1000 };

/* Returns whether to come again after PACE_MS; otherwise at the next moment of rest. */
typedef bool pace_work_fn(void *context);

struct pace {
    uv_timer_t timer; /* to be ended by uv_close(); its data is the context */
    pace_work_fn *work;
};

/* The first time is after PACE_MS. */
void pace_start(struct pace *pace, uv_loop_t *loop, pace_work_fn *work, void *context);
/* There is something to do again: comes within PACE_MS. Cheap. */
void pace_hurry(struct pace *pace);
/* Comes no more. */
void pace_stop(struct pace *pace);
/* Milliseconds from now to the next moment of rest; now_ms: uv_now() of the loop. Pure. */
uint64_t pace_rest_ms(uint64_t now_ms);

#endif
