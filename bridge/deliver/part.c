/* deliver/part.c - see deliver/part.h. */
#include "deliver/part.h"
#include "deliver/ring.h"

#include <string.h>

_Static_assert(ARRAY_LEN(((struct part_walk *)NULL)->at) == ROUTE_LANES, "a lane has no place");

static void push(struct flight *flight, unsigned from, unsigned count, const struct scope *scope,
                 bool isolate)
{
    struct part *part = xcalloc(1, sizeof *part + count * (sizeof part->ids[0] + sizeof part->lanes[0]));
    part->count = count;
    part->scope = scope;
    part->passes = scope ? scope->passes : 0;
    part->isolate = isolate;
    part->lanes = (struct lane **)(void *)(part->ids + count);
    memcpy(part->ids, flight->ids + from, count * sizeof part->ids[0]);
    memcpy(part->lanes, flight->lanes + from, count * sizeof part->lanes[0]);
    for (unsigned i = 0; i < count; i++)
        part->lanes[i]->parts++;
    TAILQ_INSERT_HEAD(&flight->route->parts, part, others);
}

void part_split(struct flight *flight, const struct scope *scope, bool whole, bool isolate)
{
    unsigned half = whole || flight->count == 1 ? flight->count : flight->count / 2;
    if (half < flight->count)
        push(flight, half, flight->count - half, scope, isolate);
    push(flight, 0, half, scope, isolate);
}

static bool has(const struct part *part, int64_t id)
{
    for (unsigned low = 0, high = part->count; low < high;) {
        unsigned middle = (low + high) / 2;
        if (part->ids[middle] == id)
            return true;
        if (part->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* The first message of the lane that a request with this part may begin with, or NULL. */
static const struct waiting *next_of_lane(const struct lane *lane, bool check)
{
    for (unsigned at = 0; at < lane->count; at++) {
        const struct waiting *waiting = ring_at(lane, at);
        const struct suspect *suspect = waiting->suspect;
        if (!suspect)
            return waiting;
        if (!check || suspect_is_relieved(suspect))
            return NULL;
    }
    return NULL;
}

bool part_may_send(const struct part *part, unsigned member, bool check, struct part_walk *walk)
{
    const struct lane *lane = part->lanes[member];
    unsigned number = (unsigned)(lane - lane->route->lanes);
    for (; walk->at[number] < lane->count; walk->at[number]++) {
        const struct waiting *waiting = ring_at(lane, walk->at[number]);
        const struct suspect *suspect = waiting->suspect;
        if (waiting->id == part->ids[member])
            return !suspect;
        if (check && suspect && !suspect_is_relieved(suspect))
            continue;
        if (suspect || !has(part, waiting->id))
            return false;
    }
    return false;
}

bool part_is_next(const struct part *part, bool check)
{
    bool gone = true, next = false;
    for (unsigned i = 0; i < part->count && !next; i++) {
        const struct lane *lane = part->lanes[i];
        if (i > 0 && lane == part->lanes[i - 1])
            continue;
        const struct waiting *first = next_of_lane(lane, check);
        next = first && has(part, first->id);
    }
    for (unsigned i = 0; i < part->count; i++) {
        if (part->lanes[i]->in_flight)
            return false;
        gone = gone && !next && ring_find(part->lanes[i], part->ids[i]) == part->lanes[i]->count;
    }
    return next || gone;
}

bool part_holds(const struct route_state *route, int64_t id)
{
    const struct part *part;
    TAILQ_FOREACH(part, &route->parts, others)
        if (has(part, id))
            return true;
    return false;
}

bool part_is_convicted(const struct part *part)
{
    return part->scope && part->scope->passes > part->passes;
}

void part_take(struct route_state *route, struct part *part)
{
    TAILQ_REMOVE(&route->parts, part, others);
    for (unsigned i = 0; i < part->count; i++)
        part->lanes[i]->parts--;
}

void part_forget_all(struct route_state *route)
{
    struct part *part;
    while ((part = TAILQ_FIRST(&route->parts))) {
        part_take(route, part);
        free(part);
    }
}
