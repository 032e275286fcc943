/* How many early trials are made in which time. */
#include "unit.h"

#include "daemon/early.h"

static void a_few_follow_one_another_at_once(void **state)
{
    struct early_limit limit = {0};
    for (int i = 0; i < EARLY_MOST; i++) {
        assert_int_equal(early_wait_ms(&limit, 1000 + i), 0);
        early_made(&limit, 1000 + i);
    }
    assert_int_equal(early_wait_ms(&limit, 2000), EARLY_SPAN_MS - 1000);
    assert_int_equal(early_wait_ms(&limit, 1000 + EARLY_SPAN_MS), 0);
}

static void in_the_long_run_there_are_few(void **state)
{
    struct early_limit limit = {0};
    int64_t now_ms = 1;
    for (int i = 0; i < 10 * EARLY_MOST; i++) {
        now_ms += early_wait_ms(&limit, now_ms);
        early_made(&limit, now_ms);
    }
    assert_int_equal(now_ms, 1 + 9 * EARLY_SPAN_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_follow_one_another_at_once),
        cmocka_unit_test(in_the_long_run_there_are_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
