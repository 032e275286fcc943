/* base/throttle.h - "at most once every N seconds", and how often in between. Pure.
 *
 *     static struct throttle throttle;
 *     uint64_t times = throttle_due(&throttle, 1, clock_uptime_ms(), 60 * 1000);
 *     if (times > 0)
 *         log_warning(EVENT_X, "... (%llu times since the last report)", times);
 */
#ifndef SLUICE_BASE_THROTTLE_H
#define SLUICE_BASE_THROTTLE_H

#include "base/base.h"

/* All zero at first. */
struct throttle {
    int64_t reported_ms; /* uptime of the last report; 0: none yet */
    uint64_t count;      /* since then */
};

/* Counts this many events (0: none, only asks). Returns how many there were since the last
 * report when one is due, that is, when there were any and the last report was at least
 * every_ms ago; the report is then taken as made. Otherwise 0. */
uint64_t throttle_due(struct throttle *throttle, uint64_t events, int64_t now_ms, int64_t every_ms);

#endif
