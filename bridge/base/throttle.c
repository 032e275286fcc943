/* base/throttle.c - see base/throttle.h. */
#include "base/throttle.h"

uint64_t throttle_due(struct throttle *throttle, uint64_t events, int64_t now_ms, int64_t every_ms)
{
    throttle->count += events;
    if (throttle->reported_ms != 0 && now_ms - throttle->reported_ms < every_ms)
        return 0;
    uint64_t count = throttle->count;
    if (count == 0)
        return 0;
    throttle->reported_ms = now_ms;
    throttle->count = 0;
    return count;
}
