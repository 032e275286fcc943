/* deliver/lane_map.h - in which lane the messages of a key wait. Pure.
 *
 * New keys take the lanes in turn, so that they are spread evenly: a hash alone would
 * put 50 topics into some 35 of 64 lanes, four of them into one, and those would take
 * four times as long. Once many keys are known, further ones do go by their hash.
 * A key stays in its lane for as long as the map lives; nothing is in flight when
 * another begins, so that it may choose otherwise.
 */
#ifndef SLUICE_LANE_MAP_H
#define SLUICE_LANE_MAP_H

#include "base/base.h"

/* All zero it is empty. */
struct lane_map {
    uint64_t *slots; /* a key's hash, its lowest byte replaced by lane + 1; 0: free */
    size_t capacity; /* a power of two */
    size_t known;
};

/* 0 to lanes - 1, lanes at most 255. Two keys with the same hash share a lane. */
unsigned lane_map_find(struct lane_map *map, const char *key, unsigned lanes);
void lane_map_done(struct lane_map *map); /* frees the memory; it is empty then */

#endif
