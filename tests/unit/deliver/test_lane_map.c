/* test_lane_map.c - keys in lanes. */
#include "unit.h"

#include "deliver/lane_map.h"
#include <stdio.h>
#include <string.h>

static unsigned find(struct lane_map *map, unsigned number, unsigned lanes)
{
    char key[32];
    snprintf(key, sizeof key, "garden/%u/sensor", number);
    return lane_map_find(map, key, lanes);
}

static void keys_are_spread_evenly(void **state)
{
    struct lane_map map = {0};
    unsigned counts[64] = {0};
    for (unsigned i = 0; i < 64 * 10; i++)
        counts[find(&map, i, 64)]++;
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(counts[i], 10);
    lane_map_done(&map);
}

/* Order depends on it: also while the map grows, and when it takes no more keys. */
static void a_key_stays_in_its_lane(void **state)
{
    enum { KEYS = 20000 };
    static unsigned char lanes[KEYS];
    struct lane_map map = {0};
    unsigned counts[64] = {0};
    for (unsigned i = 0; i < KEYS; i++) {
        lanes[i] = (unsigned char)find(&map, i, 64);
        assert_in_range(lanes[i], 0, 63);
        counts[lanes[i]]++;
        assert_int_equal(find(&map, i / 2, 64), lanes[i / 2]);
    }
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(find(&map, i, 64), lanes[i]);
    for (unsigned i = 0; i < 64; i++)
        assert_in_range(counts[i], KEYS / 64 / 2, KEYS / 64 * 2);
    assert_true(map.capacity <= 8192); /* whatever the devices call themselves */
    lane_map_done(&map);
}

static void any_text_is_a_key(void **state)
{
    struct lane_map map = {0};
    assert_int_equal(lane_map_find(&map, "", 3), 0);
    assert_int_equal(lane_map_find(&map, "\xff\x01", 3), 1);
    assert_int_equal(lane_map_find(&map, "a", 3), 2);
    assert_int_equal(lane_map_find(&map, "b", 3), 0);
    assert_int_equal(lane_map_find(&map, "", 3), 0);
    assert_int_equal(lane_map_find(&map, "\xff\x01", 3), 1);
    lane_map_done(&map);
    assert_int_equal(lane_map_find(&map, "b", 3), 0);
    lane_map_done(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_spread_evenly),
        cmocka_unit_test(a_key_stays_in_its_lane),
        cmocka_unit_test(any_text_is_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
