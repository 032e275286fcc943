#include "unit.h"

#include "deliver/rate.h"

#include <limits.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

static void a_lone_message_waits_for_nothing(void **state)
{
    static const unsigned rates[] = {1, 2, 7, 1000, UINT_MAX};
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        struct rate rate;
        rate_init(&rate, rates[i], 5);
        assert_int_equal(rate_wait_ms(&rate, 1, 5), 0);
        rate_take(&rate, 1, 5);
    }
}

static void after_some_there_is_a_pause_as_long_as_they_deserve(void **state)
{
    struct rate rate;
    rate_init(&rate, 50, 0);
    assert_int_equal(rate_most(&rate), 50);
    assert_int_equal(rate_wait_ms(&rate, 50, 0), 0);
    rate_take(&rate, 1, 0);
    assert_int_equal(rate_wait_ms(&rate, 1, 0), 20);
    assert_int_equal(rate_wait_ms(&rate, 1, 19), 1);
    assert_int_equal(rate_wait_ms(&rate, 1, 20), 0);
    assert_int_equal(rate_wait_ms(&rate, 50, 20), 980); /* or there were 51 in a second */
    assert_int_equal(rate_wait_ms(&rate, 50, 1000), 0);
    rate_take(&rate, 50, 1000);
    assert_int_equal(rate_wait_ms(&rate, 1, 1000), 1000);
    assert_int_equal(rate_wait_ms(&rate, 1, 100000), 0); /* what was not used is gone */
    rate_take(&rate, 1, 100000);
    assert_int_equal(rate_wait_ms(&rate, 1, 100000), 20);
}

/* Sizes that change all the time: no second, wherever it begins, has more than allowed. */
static void no_second_has_more_than_allowed(void **state)
{
    static const unsigned rates[] = {1, 3, 7, 50, 999, 1000, 3000};
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        enum { MOST_MS = 20000 };
        static unsigned left[MOST_MS];
        memset(left, 0, sizeof left);
        struct rate rate;
        rate_init(&rate, rates[i], 0);
        uint64_t chance = rates[i];
        for (int64_t now_ms = 0; now_ms < MOST_MS;) {
            chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407;
            unsigned messages = 1 + (unsigned)(chance >> 33) % rates[i];
            now_ms += rate_wait_ms(&rate, messages, now_ms);
            if (now_ms >= MOST_MS)
                break;
            rate_take(&rate, messages, now_ms);
            left[now_ms] += messages;
        }
        for (int from = 0; from + 1000 <= MOST_MS; from++) {
            uint64_t sum = 0;
            for (int ms = from; ms < from + 1000; ms++)
                sum += left[ms];
            assert_true(sum <= rates[i]);
        }
    }
}

/* Taken as soon as it is allowed, a backlog leaves at just that rate. */
static void a_backlog_leaves_evenly(void **state)
{
    static const struct {
        unsigned per_s, messages;
    } cases[] = {{1, 1}, {2, 1}, {4, 2}, {20, 20}, {50, 1}, {1000, 1}, {3000, 3}, {100000, 500}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rate rate;
        int64_t now_ms = 12345, taken = 0;
        rate_init(&rate, cases[i].per_s, now_ms);
        while (now_ms < 12345 + 100000) {
            int64_t wait_ms = rate_wait_ms(&rate, cases[i].messages, now_ms);
            if (wait_ms == 0) {
                rate_take(&rate, cases[i].messages, now_ms);
                taken += cases[i].messages;
            }
            now_ms += wait_ms;
        }
        assert_int_equal(taken, INT64_C(100) * cases[i].per_s);
    }
}

static void without_a_limit_nothing_waits(void **state)
{
    struct rate rate;
    rate_init(&rate, 0, 0);
    assert_int_equal(rate_most(&rate), UINT_MAX);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(rate_wait_ms(&rate, UINT_MAX, i), 0);
        rate_take(&rate, UINT_MAX, i);
    }
}

static void no_time_and_no_rate_overflow(void **state)
{
    static const unsigned rates[] = {1, 1000, UINT_MAX};
    static const int64_t times[][2] = {{0, 100 * 365 * DAY_MS}, {99 * 365 * DAY_MS, 100 * 365 * DAY_MS}};
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        for (size_t k = 0; k < ARRAY_LEN(times); k++) {
            struct rate rate;
            rate_init(&rate, rates[i], times[k][0]);
            rate_take(&rate, rates[i], times[k][0]);
            assert_int_equal(rate_wait_ms(&rate, rates[i], times[k][0]), 1000);
            assert_int_equal(rate_wait_ms(&rate, rates[i], times[k][1]), 0);
            rate_take(&rate, rates[i], times[k][1]);
            assert_int_equal(rate_wait_ms(&rate, rates[i], times[k][1]), 1000);
        }
    }
}

static void a_time_that_steps_back_gives_nothing(void **state)
{
    struct rate rate;
    rate_init(&rate, 10, 5000);
    rate_take(&rate, 10, 5000);
    assert_int_equal(rate_wait_ms(&rate, 1, 4000), 2000);
    assert_int_equal(rate_wait_ms(&rate, 1, 5000), 1000);
    assert_int_equal(rate_wait_ms(&rate, 1, 6000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_message_waits_for_nothing),
        cmocka_unit_test(after_some_there_is_a_pause_as_long_as_they_deserve),
        cmocka_unit_test(no_second_has_more_than_allowed),
        cmocka_unit_test(a_backlog_leaves_evenly),
        cmocka_unit_test(without_a_limit_nothing_waits),
        cmocka_unit_test(no_time_and_no_rate_overflow),
        cmocka_unit_test(a_time_that_steps_back_gives_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
