/* base/backoff.h - how long to wait after the nth failure. Pure: the random number is an
 * argument.
 *
 * Exponential with full jitter: evenly distributed between 0 and
 * min(longest, first * 2^(failures-1)). So many sluices that lost the same backend do not
 * return at the same moment. A wait is at least a tenth of `first`, so that a series of
 * failures cannot occupy the processor.
 */
#ifndef SLUICE_BACKOFF_H
#define SLUICE_BACKOFF_H

#include "base/base.h"

/* failures: 1 or more; chance: random, evenly distributed over all values. */
int64_t backoff_wait_ms(int64_t first_ms, int64_t longest_ms, unsigned failures, uint32_t chance);

/* The wait that a Retry-After header requests (RFC 9110, section 10.2.3): seconds, or an
 * HTTP date, which is compared with wall_ms, the time of the same clock. The result is 0 to longest_ms. Returns 0, or
 * -EINVAL when the text is neither. */
int backoff_retry_after_ms(const char *text, int64_t wall_ms, int64_t longest_ms, int64_t *ret_wait_ms);

#endif
