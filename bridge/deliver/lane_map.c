/* deliver/lane_map.c - in which lane the messages of a key wait. See deliver/lane_map.h. */
#include "deliver/lane_map.h"

#include <assert.h>

enum {
    KNOWN_MOST = 4096, /* 64 KiB of slots */
    CAPACITY_LEAST = 64,
};

#define LANE_BITS UINT64_C(0xff)

/* FNV-1a (RFC 9923), and a shuffle, because its low bits follow the key's last byte. */
static uint64_t hash_of(const char *key)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

/* Where the key is, or the free slot where it would be. */
static uint64_t *slot_of(const struct lane_map *map, uint64_t hash)
{
    size_t at = (size_t)(hash >> 8) & (map->capacity - 1);
    while (map->slots[at] != 0 && (map->slots[at] ^ hash) > LANE_BITS)
        at = (at + 1) & (map->capacity - 1);
    return &map->slots[at];
}

/* At most half of the slots are taken. */
static void grow(struct lane_map *map)
{
    struct lane_map larger = {.capacity = map->capacity > 0 ? 2 * map->capacity : CAPACITY_LEAST,
                              .known = map->known};
    larger.slots = xcalloc(larger.capacity, sizeof *larger.slots);
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i] != 0)
            *slot_of(&larger, map->slots[i]) = map->slots[i];
    free(map->slots);
    *map = larger;
}

unsigned lane_map_find(struct lane_map *map, const char *key, unsigned lanes)
{
    assert(lanes > 0 && lanes < LANE_BITS);
    uint64_t hash = hash_of(key);
    if (map->known < KNOWN_MOST && 2 * (map->known + 1) > map->capacity)
        grow(map);
    uint64_t *slot = slot_of(map, hash);
    if (*slot != 0)
        return (unsigned)(*slot & LANE_BITS) - 1;
    if (map->known == KNOWN_MOST)
        return (unsigned)(hash >> 8) % lanes;
    unsigned lane = (unsigned)(map->known++ % lanes);
    *slot = (hash & ~LANE_BITS) | (lane + 1);
    return lane;
}

void lane_map_done(struct lane_map *map)
{
    free(map->slots);
    *map = (struct lane_map){.slots = NULL};
}
