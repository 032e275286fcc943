#include "unit.h"

#include "deliver/rate.h"

#include <limits.h>

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

static void the_bucket_holds_a_second(void **state)
{
    struct rate rate;
    rate_init(&rate, 50, 0);
    assert_int_equal(rate_most(&rate), 50);
    assert_int_equal(rate_wait_ms(&rate, 50, 0), 0);
    rate_take(&rate, 50, 0);
    assert_int_equal(rate_wait_ms(&rate, 0, 0), 0);
    assert_int_equal(rate_wait_ms(&rate, 1, 0), 20);
    assert_int_equal(rate_wait_ms(&rate, 50, 0), 1000);
    assert_int_equal(rate_wait_ms(&rate, 50, 999), 1);
    assert_int_equal(rate_wait_ms(&rate, 50, 1000), 0);
    assert_int_equal(rate_wait_ms(&rate, 50, 100000), 0); /* and no more than that */
    rate_take(&rate, 50, 100000);
    assert_int_equal(rate_wait_ms(&rate, 1, 100000), 20);
}

static void a_token_comes_whole(void **state)
{
    struct rate rate;
    rate_init(&rate, 3, 0);
    rate_take(&rate, 3, 0);
    assert_int_equal(rate_wait_ms(&rate, 1, 0), 334);
    assert_int_equal(rate_wait_ms(&rate, 1, 333), 1); /* 0.999 are there */
    assert_int_equal(rate_wait_ms(&rate, 1, 334), 0);
    rate_take(&rate, 1, 334);
    assert_int_equal(rate_wait_ms(&rate, 1, 334), 333);
}

/* Taken as soon as it is allowed, a backlog leaves at just that rate: asking in
 * between changes nothing, and fractions of a millisecond add up to nothing. */
static void a_backlog_leaves_evenly(void **state)
{
    static const struct {
        unsigned per_s, messages;
    } cases[] = {{1, 1}, {3, 1}, {7, 2}, {20, 20}, {999, 1}, {1000, 1}, {3000, 1}, {100000, 700}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rate rate;
        int64_t now_ms = 12345, taken = 0;
        rate_init(&rate, cases[i].per_s, now_ms);
        rate_take(&rate, cases[i].per_s, now_ms); /* the second's worth that it begins with */
        while (now_ms < 12345 + 100000) {
            int64_t wait_ms = rate_wait_ms(&rate, cases[i].messages, now_ms);
            if (wait_ms == 0) {
                rate_take(&rate, cases[i].messages, now_ms);
                taken += cases[i].messages;
                continue;
            }
            if (wait_ms > 1)
                assert_true(rate_wait_ms(&rate, cases[i].messages, now_ms + wait_ms - 1) > 0);
            now_ms += wait_ms;
        }
        /* But for what comes in the last millisecond, and what is kept for the next. */
        int64_t allowed = INT64_C(100) * cases[i].per_s;
        assert_true(taken <= allowed);
        assert_true(taken >= allowed - cases[i].per_s / 1000 - cases[i].messages);
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
    static const int64_t times[][2] = {
        {0, 100 * 365 * DAY_MS}, {0, INT64_MAX}, {INT64_MIN, INT64_MAX}, {INT64_MAX - 2000, INT64_MAX}};
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
    assert_int_equal(rate_wait_ms(&rate, 1, 4000), 100);
    assert_int_equal(rate_wait_ms(&rate, 1, 5000), 100);
    assert_int_equal(rate_wait_ms(&rate, 1, 5100), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_message_waits_for_nothing),
        cmocka_unit_test(the_bucket_holds_a_second),
        cmocka_unit_test(a_token_comes_whole),
        cmocka_unit_test(a_backlog_leaves_evenly),
        cmocka_unit_test(without_a_limit_nothing_waits),
        cmocka_unit_test(no_time_and_no_rate_overflow),
        cmocka_unit_test(a_time_that_steps_back_gives_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
