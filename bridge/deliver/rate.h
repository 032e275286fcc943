/* deliver/rate.h - at most N messages in any second. Pure.
 *
 * Two rules hold together. No second, wherever it begins, has more than N messages: the
 * window remembers how many left in each of its milliseconds. And messages leave evenly:
 * after M of them there is a pause of M/N seconds. A lone message waits for nothing.
 */
#ifndef SLUICE_RATE_H
#define SLUICE_RATE_H

#include "base/base.h"

enum { RATE_WINDOW_MS = 1000 };

struct rate {
    unsigned per_s;                  /* 0: no limit */
    int64_t next_us;                 /* uptime; no message leaves before this */
    int64_t window_end_ms;           /* uptime; the last millisecond that the window covers */
    uint64_t in_window;              /* messages that left in it */
    uint32_t window[RATE_WINDOW_MS]; /* in each of its milliseconds, by uptime % RATE_WINDOW_MS */
};

void rate_init(struct rate *rate, unsigned per_s, int64_t now_ms);
/* How many messages one request may have at most; UINT_MAX without a limit. */
unsigned rate_most(const struct rate *rate);
/* How many ms until this many messages may leave, at most rate_most; 0: now. */
int64_t rate_wait_ms(struct rate *rate, unsigned messages, int64_t now_ms);
/* They leave, as rate_wait_ms allowed. */
void rate_take(struct rate *rate, unsigned messages, int64_t now_ms);

#endif
