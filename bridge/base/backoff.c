/* base/backoff.c - how long to wait after the nth failure; see base/backoff.h. */
#include "base/backoff.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static int64_t at_most(int64_t value, int64_t bound)
{
    return value < bound ? value : bound;
}

/* first * 2^(failures - 1), but at most longest. Cannot overflow. */
static int64_t ceiling_ms(int64_t first_ms, int64_t longest_ms, unsigned failures)
{
    int64_t ceiling = at_most(first_ms, longest_ms);
    for (unsigned i = 1; i < failures && ceiling < longest_ms; i++) {
        if (ceiling > longest_ms / 2)
            return longest_ms;
        ceiling *= 2;
    }
    return ceiling;
}

int64_t backoff_wait_ms(int64_t first_ms, int64_t longest_ms, unsigned failures, uint32_t chance)
{
    assert(first_ms > 0 && longest_ms > 0);
    uint64_t ceiling = (uint64_t)ceiling_ms(first_ms, longest_ms, failures);
    /* ceiling * chance / 2^32, in two halves that fit into 64 bits. */
    uint64_t spread = (ceiling >> 32) * chance + (((ceiling & UINT32_MAX) * chance) >> 32);
    int64_t wait = (int64_t)spread;
    int64_t least = first_ms / 10 > 0 ? first_ms / 10 : 1;
    return at_most(wait > least ? wait : least, longest_ms);
}

/* Seconds, in digits only, as milliseconds; at most longest_ms. */
static int parse_seconds(const char *text, int64_t longest_ms, int64_t *ret_ms)
{
    int64_t ms = 0;
    if (!*text)
        return -EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        if (ms > (INT64_MAX - 9000) / 10)
            ms = (INT64_MAX - 9000) / 10; /* any bound is below this */
        ms = ms * 10 + (*text - '0') * 1000;
    }
    *ret_ms = at_most(ms, longest_ms);
    return 0;
}

int backoff_retry_after_ms(const char *text, int64_t wall_ms, int64_t longest_ms, int64_t *ret_wait_ms)
{
    assert(longest_ms >= 0);
    int64_t date_ms;
    if (!parse_seconds(text, longest_ms, ret_wait_ms))
        return 0;
    if (clock_parse_http_date(text, &date_ms))
        return -EINVAL;
    *ret_wait_ms = date_ms <= wall_ms ? 0 : at_most(date_ms - wall_ms, longest_ms);
    return 0;
}
