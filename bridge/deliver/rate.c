/* deliver/rate.c - a token bucket; see deliver/rate.h.
 *
 * per_s tokens a second are per_s thousandths a millisecond: whole numbers all the
 * way, nothing is lost by rounding however often it is asked.
 */
#include "deliver/rate.h"

#include <assert.h>
#include <limits.h>

#define TOKEN INT64_C(1000) /* in thousandths */

static int64_t capacity_millis(const struct rate *rate)
{
    return rate->per_s * TOKEN;
}

/* Lets in what has come since. A second fills it, so no longer time is counted,
 * and nothing can overflow. */
static void fill(struct rate *rate, int64_t now_ms)
{
    if (now_ms <= rate->filled_ms)
        return;
    uint64_t passed_ms = (uint64_t)now_ms - (uint64_t)rate->filled_ms;
    rate->filled_ms = now_ms;
    rate->millis += (int64_t)(passed_ms < 1000 ? passed_ms : 1000) * rate->per_s;
    if (rate->millis > capacity_millis(rate))
        rate->millis = capacity_millis(rate);
}

void rate_init(struct rate *rate, unsigned per_s, int64_t now_ms)
{
    *rate = (struct rate){.per_s = per_s, .filled_ms = now_ms};
    rate->millis = capacity_millis(rate);
}

unsigned rate_most(const struct rate *rate)
{
    return rate->per_s > 0 ? rate->per_s : UINT_MAX;
}

int64_t rate_wait_ms(struct rate *rate, unsigned messages, int64_t now_ms)
{
    assert(messages <= rate_most(rate));
    if (rate->per_s == 0)
        return 0;
    fill(rate, now_ms);
    int64_t missing = messages * TOKEN - rate->millis;
    return missing > 0 ? (missing + rate->per_s - 1) / rate->per_s : 0;
}

void rate_take(struct rate *rate, unsigned messages, int64_t now_ms)
{
    if (rate->per_s == 0)
        return;
    int64_t wait_ms = rate_wait_ms(rate, messages, now_ms);
    assert(wait_ms == 0);
    rate->millis -= messages * TOKEN;
}
