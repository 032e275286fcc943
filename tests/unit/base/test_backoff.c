#include "unit.h"

#include "base/backoff.h"

#include <errno.h>
#include <limits.h>

static void the_ceiling_doubles_up_to_the_longest(void **state)
{
    static const struct {
        unsigned failures;
        int64_t ceiling_ms;
    } cases[] = {
        {1, 1000},    {2, 2000},    {3, 4000},    {9, 256000},
        {10, 300000}, {11, 300000}, {64, 300000}, {UINT_MAX, 300000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t wait = backoff_wait_ms(1000, 300000, cases[i].failures, UINT32_MAX);
        assert_int_equal(wait, cases[i].ceiling_ms - 1);
        wait = backoff_wait_ms(1000, 300000, cases[i].failures, UINT32_MAX / 2 + 1);
        assert_int_equal(wait, cases[i].ceiling_ms / 2);
    }
}

static void a_wait_is_never_below_a_tenth_of_the_first(void **state)
{
    assert_int_equal(backoff_wait_ms(1000, 300000, 1, 0), 100);
    assert_int_equal(backoff_wait_ms(1000, 300000, 20, 0), 100);
    assert_int_equal(backoff_wait_ms(5, 300000, 1, 0), 1); /* and never 0 */
    assert_int_equal(backoff_wait_ms(1000, 50, 1, 0), 50); /* nor above the longest */
}

static void nothing_overflows(void **state)
{
    for (unsigned shift = 0; shift < 32; shift++) {
        int64_t wait = backoff_wait_ms(INT64_MAX / 3, INT64_MAX, 1u << shift, UINT32_MAX);
        assert_true(wait > 0);
        assert_true(backoff_wait_ms(1, INT64_MAX, 1u << shift, UINT32_MAX) > 0);
    }
    assert_true(backoff_wait_ms(1, INT64_MAX, UINT_MAX, UINT32_MAX) > INT64_MAX / 2);
    assert_int_equal(backoff_wait_ms(1000, 300000, 0, UINT32_MAX), 999); /* as after the first */
}

static void retry_after_takes_seconds_and_dates(void **state)
{
    static const int64_t now_ms = 784111777000; /* Sun, 06 Nov 1994 08:49:37 GMT */
    static const struct {
        const char *text;
        int64_t wait_ms;
    } cases[] = {
        {"0", 0},
        {"7", 7000},
        {"0007", 7000},
        {"300", 300000},
        {"301", 300000},
        {"9223372036854775807", 300000},
        {"99999999999999999999999999999999999999", 300000},
        {"Sun, 06 Nov 1994 08:50:37 GMT", 60000},
        {"Sunday, 06-Nov-94 08:50:37 GMT", 60000},
        {"Sun Nov  6 08:50:37 1994", 60000},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"Sat, 05 Nov 1994 08:49:37 GMT", 0}, /* past */
        {"Fri, 31 Dec 9999 23:59:59 GMT", 300000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t wait_ms = -1;
        assert_int_equal(backoff_retry_after_ms(cases[i].text, now_ms, 300000, &wait_ms), 0);
        assert_int_equal(wait_ms, cases[i].wait_ms);
    }
}

static void anything_else_is_no_retry_after(void **state)
{
    static const char *const cases[] = {"", "-1", "+1", "1.5", "1s", "soon", "0x10", "1 2"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t wait_ms = 4711;
        assert_int_equal(backoff_retry_after_ms(cases[i], 0, 300000, &wait_ms), -EINVAL);
        assert_int_equal(wait_ms, 4711);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ceiling_doubles_up_to_the_longest),
        cmocka_unit_test(a_wait_is_never_below_a_tenth_of_the_first),
        cmocka_unit_test(nothing_overflows),
        cmocka_unit_test(retry_after_takes_seconds_and_dates),
        cmocka_unit_test(anything_else_is_no_retry_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
