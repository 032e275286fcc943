/* base/backoff.h - how long to wait after the nth failure. Pure: chance is an
 * argument, time is in milliseconds.
 *
 * Exponential with full jitter: evenly spread between 0 and
 * min(longest, first * 2^(failures-1)), so that many sluices that lost one
 * backend do not come back in step. A wait is never below a tenth of `first`,
 * which keeps a hot loop out.
 */
#ifndef SLUICE_BACKOFF_H
#define SLUICE_BACKOFF_H

#include "base/base.h"

/* failures from 1; chance evenly distributed over all of uint32_t. */
int64_t backoff_wait_ms(int64_t first_ms, int64_t longest_ms, unsigned failures, uint32_t chance);

/* A wait that a Retry-After header asked for (RFC 9110, section 10.2.3; seconds
 * or an HTTP date, compared with wall_ms), bounded to 0 ... longest_ms. -EINVAL
 * when the text is neither. */
int backoff_retry_after_ms(const char *text, int64_t wall_ms, int64_t longest_ms, int64_t *ret_wait_ms);

#endif
