/* What happened in the last minute. */
#include "unit.h"

#include "daemon/rates.h"

static struct metrics_sample at(int64_t seconds, uint64_t stored)
{
    return (struct metrics_sample){.at_ms = seconds * 1000, .stored = stored, .delivered = stored / 2};
}

static void expect_since(const struct metrics_minute *minute, struct metrics_sample now, int64_t seconds,
                         uint64_t stored)
{
    struct metrics_sample since = metrics_minute_since(minute, &now);
    assert_int_equal(since.at_ms, seconds * 1000);
    assert_int_equal(since.stored, stored);
}

static void it_looks_back_a_minute(void **state)
{
    struct metrics_minute minute = {.count = 0};
    expect_since(&minute, at(100, 10), 0, 0);
    for (int second = 100; second < 300; second++) {
        struct metrics_sample now = at(second, (uint64_t)second * 10);
        metrics_minute_note(&minute, &now);
        int64_t back = second - 100 < 60 ? second - 100 : 60;
        expect_since(&minute, now, back, (uint64_t)back * 10);
    }
}

static void what_is_older_does_not_count(void **state)
{
    struct metrics_minute minute = {.count = 0};
    struct metrics_sample then = at(100, 10), later = at(150, 20);
    metrics_minute_note(&minute, &then);
    metrics_minute_note(&minute, &later);
    expect_since(&minute, at(160, 50), 60, 40);
    expect_since(&minute, at(161, 50), 11, 30);
    expect_since(&minute, at(500, 50), 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_looks_back_a_minute),
        cmocka_unit_test(what_is_older_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
