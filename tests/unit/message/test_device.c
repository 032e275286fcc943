/* Which readings of a device are new. */
#include "unit.h"

#include "message/device.h"

#include <string.h>

enum { SEEDS = 300, READINGS = 400 };

static enum device_verdict come(struct device *device, uint32_t boot, uint32_t number, uint32_t oldest)
{
    struct device_reading reading = {.boot = boot, .number = number, .oldest = oldest};
    enum device_verdict verdict = device_receive(device, &reading);
    if (verdict == DEVICE_NEW)
        device_stored(device, &reading);
    return verdict;
}

static void readings_in_order(void **state)
{
    struct device device = {0};
    for (uint32_t i = 1; i <= 100; i++) {
        assert_int_equal(come(&device, 7, i, i), DEVICE_NEW);
        assert_int_equal(device_acknowledged(&device, 7), i);
    }
    assert_int_equal(device.stored, 100);
    assert_int_equal(device.lost, 0);
    assert_int_equal(device.first, 1);
    assert_int_equal(device_gaps(&device), 0);
}

static void a_repetition_is_known_and_acknowledged_again(void **state)
{
    struct device device = {0};
    come(&device, 7, 1, 1);
    come(&device, 7, 2, 1);
    assert_int_equal(come(&device, 7, 1, 1), DEVICE_KNOWN);
    assert_int_equal(come(&device, 7, 2, 1), DEVICE_KNOWN);
    assert_int_equal(device_acknowledged(&device, 7), 2);
    assert_int_equal(device.stored, 2);
}

static void what_is_missing_is_waited_for(void **state)
{
    struct device device = {0};
    come(&device, 7, 1, 1);
    assert_int_equal(come(&device, 7, 4, 1), DEVICE_NEW);
    assert_int_equal(come(&device, 7, 4, 1), DEVICE_KNOWN);
    assert_int_equal(device_acknowledged(&device, 7), 1);
    assert_int_equal(device_gaps(&device), 2);
    assert_int_equal(come(&device, 7, 3, 1), DEVICE_NEW);
    assert_int_equal(device_acknowledged(&device, 7), 1);
    assert_int_equal(come(&device, 7, 2, 1), DEVICE_NEW);
    assert_int_equal(device_acknowledged(&device, 7), 4);
    assert_int_equal(device_gaps(&device), 0);
    assert_int_equal(device.lost, 0);
}

static void what_the_device_dropped_is_lost_and_counted_once(void **state)
{
    struct device device = {0};
    come(&device, 7, 1, 1);
    come(&device, 7, 4, 1);
    assert_int_equal(come(&device, 7, 10, 8), DEVICE_NEW); /* 2, 3, 5, 6 and 7 never came */
    assert_int_equal(device.lost, 5);
    assert_int_equal(device_acknowledged(&device, 7), 7);
    assert_int_equal(come(&device, 7, 3, 3), DEVICE_KNOWN); /* given up */
    assert_int_equal(come(&device, 7, 9, 8), DEVICE_NEW);
    assert_int_equal(come(&device, 7, 8, 8), DEVICE_NEW);
    assert_int_equal(device_acknowledged(&device, 7), 10);
    assert_int_equal(device.lost, 5);
    assert_int_equal(device.stored + device.lost, device_acknowledged(&device, 7));
}

static void a_great_loss(void **state)
{
    struct device device = {0};
    come(&device, 7, 1, 1);
    come(&device, 7, 3, 1);
    assert_int_equal(come(&device, 7, UINT32_MAX, UINT32_MAX - 1), DEVICE_NEW);
    assert_int_equal(device.lost, UINT32_MAX - 4); /* all but 1, 3 and the last two */
    assert_int_equal(come(&device, 7, UINT32_MAX - 1, UINT32_MAX - 1), DEVICE_NEW);
    assert_int_equal(device_acknowledged(&device, 7), UINT32_MAX);
    assert_int_equal(device.stored + device.lost, UINT32_MAX);
    assert_int_equal(come(&device, 7, UINT32_MAX, UINT32_MAX), DEVICE_KNOWN);
}

static void too_far_ahead_is_not_stored(void **state)
{
    struct device device = {0};
    assert_int_equal(come(&device, 7, DEVICE_AHEAD + 1, 1), DEVICE_TOO_FAR);
    assert_int_equal(come(&device, 7, DEVICE_AHEAD, 1), DEVICE_NEW);
    assert_int_equal(device_gaps(&device), DEVICE_AHEAD - 1);
    assert_int_equal(come(&device, 7, 1, 1), DEVICE_NEW);
    assert_int_equal(come(&device, 7, DEVICE_AHEAD + 1, 1), DEVICE_NEW);
    assert_int_equal(device.stored, 3);
}

static void of_an_unknown_device_nothing_is_said_to_be_lost(void **state)
{
    struct device device = {0};
    assert_int_equal(come(&device, 7, 502, 501), DEVICE_NEW);
    assert_int_equal(device.first, 501);
    assert_int_equal(device.lost, 0);
    assert_int_equal(device_acknowledged(&device, 7), 500);
}

static void a_new_life_of_a_known_device_lost_what_it_does_not_hold(void **state)
{
    struct device device = {0};
    come(&device, 7, 1, 1);
    assert_int_equal(come(&device, 8, 4, 3), DEVICE_NEW);
    assert_int_equal(device.lost, 2);
    assert_int_equal(device_acknowledged(&device, 8), 2);
    assert_int_equal(device.begun, 2);
}

/* A broker that crashed repeats what came before the restart. */
static void an_earlier_life_is_remembered(void **state)
{
    struct device device = {0};
    for (uint32_t i = 1; i <= 5; i++)
        come(&device, 7, i, 1);
    for (uint32_t boot = 8; boot < 7 + DEVICE_LIVES; boot++)
        come(&device, boot, 1, 1);
    for (uint32_t i = 1; i <= 5; i++)
        assert_int_equal(come(&device, 7, i, 1), DEVICE_KNOWN);
    assert_int_equal(device.begun, DEVICE_LIVES);
    assert_int_equal(device.lost, 0);
    come(&device, 99, 1, 1); /* one too many: 7 is forgotten */
    assert_int_equal(come(&device, 7, 5, 5), DEVICE_NEW);
}

static void gaps_of_an_earlier_life_are_lost_until_they_are_filled(void **state)
{
    struct device device = {0};
    come(&device, 7, 1, 1);
    come(&device, 7, 4, 1);
    come(&device, 8, 1, 1);
    assert_int_equal(device.lost, 2);
    assert_int_equal(come(&device, 7, 3, 1), DEVICE_NEW);
    assert_int_equal(device.lost, 1);
    assert_int_equal(come(&device, 7, 5, 5), DEVICE_NEW);
    assert_int_equal(device.lost, 1);
    assert_int_equal(device.stored, 5);
}

/* Two devices with one name: their lives alternate, and nothing is lost or stored twice. */
static void two_devices_under_one_name(void **state)
{
    struct device device = {0};
    for (uint32_t i = 1; i <= 50; i++) {
        assert_int_equal(come(&device, 7, i, i), DEVICE_NEW);
        assert_int_equal(come(&device, 8, i, i), DEVICE_NEW);
        assert_int_equal(come(&device, 7, i, i), DEVICE_KNOWN);
    }
    assert_int_equal(device.begun, 2);
    assert_int_equal(device.stored, 100);
    assert_int_equal(device.lost, 0);
}

/* ---- whatever comes, in whatever order ---- */

static uint32_t chance;

static uint32_t below(uint32_t limit)
{
    chance ^= chance << 13;
    chance ^= chance >> 17;
    chance ^= chance << 5;
    return chance % limit;
}

/* A device that sends any of what it holds, in any order; drops what is acknowledged,
 * and now and then the oldest without. Each reading must be stored at most once, and
 * in the end every one is stored or counted as lost. */
static void whatever_comes(uint32_t seed)
{
    static uint8_t stored[READINGS + 1];
    struct device device = {0};
    uint32_t newest = 0, oldest = 1;
    chance = seed;
    memset(stored, 0, sizeof stored);
    while (newest < READINGS || oldest <= newest) {
        if (newest < READINGS && (below(3) == 0 || oldest > newest))
            newest++;
        if (newest > 0 && oldest < newest && below(40) == 0)
            oldest += 1 + below(newest - oldest);
        uint32_t number = oldest + below(newest - oldest + 1);
        uint32_t told = oldest > 3 && below(5) == 0 ? oldest - below(3) : oldest; /* sent a while ago */
        enum device_verdict verdict = come(&device, 7, number, told);
        if (verdict == DEVICE_NEW)
            assert_int_equal(stored[number]++, 0);
        else if (verdict == DEVICE_TOO_FAR)
            continue;
        uint32_t up_to = device_acknowledged(&device, 7);
        assert_true(up_to <= newest);
        if (up_to >= oldest && below(3) > 0) /* otherwise that acknowledgement is lost */
            oldest = up_to + 1;
        assert_int_equal(device.stored + device.lost,
                         up_to + (uint32_t)__builtin_popcountll(device.lives[0].ahead));
    }
    uint32_t count = 0;
    for (uint32_t i = 1; i <= READINGS; i++)
        count += stored[i];
    assert_int_equal(device.stored, count);
    assert_int_equal(device.stored + device.lost, READINGS);
}

static void nothing_is_stored_twice_and_all_is_accounted_for(void **state)
{
    for (uint32_t seed = 1; seed <= SEEDS; seed++)
        whatever_comes(seed);
}

static void several_devices_under_one_name_are_seen(void **state)
{
    for (uint32_t devices = 2; devices <= 6; devices++) { /* more than are remembered, too */
        struct device device = {0};
        for (uint32_t i = 0; i < 12 * devices; i++)
            come(&device, 100 + i % devices, 1 + i / devices, 1 + i / devices);
        assert_true(device_is_shared(&device));
        for (uint32_t i = 100; i < 116; i++) /* all but one were given other names */
            come(&device, 100, i, i);
        come(&device, 100, 116, 116);
        assert_false(device_is_shared(&device));
    }
}

/* Restarts, and a broker that repeats what it has of before. */
static void one_device_is_not_taken_for_several(void **state)
{
    struct device device = {0};
    for (uint32_t boot = 1; boot < 50; boot++) {
        for (uint32_t i = 1; i <= 20; i++)
            come(&device, boot, i, i > 3 ? i - 3 : 1);
        for (uint32_t i = 21; i <= 23 && boot > 1; i++) /* sent before the restart, and late */
            come(&device, boot - 1, i, 18);
        assert_false(device_is_shared(&device));
    }
    for (uint32_t boot = 100; boot < 150; boot++) { /* as from deep sleep */
        come(&device, boot, 1, 1);
        assert_false(device_is_shared(&device));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_devices_under_one_name_are_seen),
        cmocka_unit_test(one_device_is_not_taken_for_several),
        cmocka_unit_test(readings_in_order),
        cmocka_unit_test(a_repetition_is_known_and_acknowledged_again),
        cmocka_unit_test(what_is_missing_is_waited_for),
        cmocka_unit_test(what_the_device_dropped_is_lost_and_counted_once),
        cmocka_unit_test(a_great_loss),
        cmocka_unit_test(too_far_ahead_is_not_stored),
        cmocka_unit_test(of_an_unknown_device_nothing_is_said_to_be_lost),
        cmocka_unit_test(a_new_life_of_a_known_device_lost_what_it_does_not_hold),
        cmocka_unit_test(an_earlier_life_is_remembered),
        cmocka_unit_test(gaps_of_an_earlier_life_are_lost_until_they_are_filled),
        cmocka_unit_test(two_devices_under_one_name),
        cmocka_unit_test(nothing_is_stored_twice_and_all_is_accounted_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
