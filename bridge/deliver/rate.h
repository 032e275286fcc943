/* deliver/rate.h - a token bucket: so many messages a second, on the average. Pure.
 *
 * The bucket holds one second's worth, at least one message, and begins full: a
 * lone message waits for nothing, a backlog leaves evenly.
 */
#ifndef SLUICE_RATE_H
#define SLUICE_RATE_H

#include "base/base.h"

struct rate {
    unsigned per_s;    /* 0: no limit */
    int64_t millis;    /* tokens, in thousandths */
    int64_t filled_ms; /* uptime up to which it was filled */
};

void rate_init(struct rate *rate, unsigned per_s, int64_t now_ms);
/* How many messages one request may take along at most: what the bucket holds
 * when it is full; UINT_MAX without a limit. */
unsigned rate_most(const struct rate *rate);
/* How long until there are this many tokens, at most rate_most; 0: there are. */
int64_t rate_wait_ms(struct rate *rate, unsigned messages, int64_t now_ms);
/* Takes them, which rate_wait_ms allowed. */
void rate_take(struct rate *rate, unsigned messages, int64_t now_ms);

#endif
