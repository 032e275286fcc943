/* deliver/ring.c - see deliver/ring.h. */
#include "deliver/ring.h"

struct waiting *ring_at(const struct lane *lane, unsigned position)
{
    return &lane->ring[(lane->first + position) % lane->route->lane_ids];
}

unsigned ring_find(const struct lane *lane, int64_t id)
{
    unsigned at = 0;
    while (at < lane->count && ring_at(lane, at)->id != id)
        at++;
    return at;
}
