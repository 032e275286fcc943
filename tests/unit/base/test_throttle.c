#include "unit.h"

#include "base/throttle.h"

static void the_first_event_is_reported_at_once(void **state)
{
    struct throttle t = {.count = 0};
    assert_int_equal(throttle_due(&t, 1, 5000, 1000), 1);
}

static void later_ones_are_counted_and_reported_together(void **state)
{
    struct throttle t = {.count = 0};
    throttle_due(&t, 1, 5000, 1000);
    assert_int_equal(throttle_due(&t, 1, 5001, 1000), 0);
    assert_int_equal(throttle_due(&t, 3, 5999, 1000), 0);
    assert_int_equal(throttle_due(&t, 1, 6000, 1000), 5);
    assert_int_equal(throttle_due(&t, 1, 6001, 1000), 0);
}

static void nothing_is_reported_when_nothing_happened(void **state)
{
    struct throttle t = {.count = 0};
    assert_int_equal(throttle_due(&t, 0, 5000, 1000), 0);
    throttle_due(&t, 1, 5000, 1000);
    assert_int_equal(throttle_due(&t, 0, 9000, 1000), 0);
    throttle_due(&t, 2, 9000, 1000);
    throttle_due(&t, 2, 9500, 1000);
    assert_int_equal(throttle_due(&t, 0, 10000, 1000), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_event_is_reported_at_once),
        cmocka_unit_test(later_ones_are_counted_and_reported_together),
        cmocka_unit_test(nothing_is_reported_when_nothing_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
