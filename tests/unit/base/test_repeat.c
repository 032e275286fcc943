#include "unit.h"

#include "base/repeat.h"

static unsigned passed(struct repeat *repeat, const char *text, unsigned times, int64_t now_ms)
{
    unsigned count = 0;
    for (unsigned i = 0; i < times; i++)
        count += repeat_passes(repeat, repeat_subject(text), now_ms);
    return count;
}

static void one_subject_leaves_lines_for_others(void **state)
{
    struct repeat r = {.written = 0};
    assert_int_equal(passed(&r, "garden: away since 1", 100, 5000), REPEAT_SUBJECT_LINES);
    assert_int_equal(passed(&r, "garden: away since 2", 1, 5000), 0);
    assert_int_equal(passed(&r, "shed: away since 1", 1, 5000), 1);
    assert_int_equal(repeat_close(&r), 100 - REPEAT_SUBJECT_LINES + 1);
}

static void many_subjects_share_the_limit_of_the_event(void **state)
{
    struct repeat r = {.written = 0};
    unsigned count = 0;
    for (unsigned i = 0; i < 1000; i++) {
        cleanup_free char *text = xasprintf("client %u: refused", i);
        count += passed(&r, text, 1, 5000 + i);
    }
    assert_int_equal(count, REPEAT_LINES);
    assert_int_equal(repeat_close(&r), 1000 - REPEAT_LINES);
}

static void a_minute_begins_with_its_first_line(void **state)
{
    struct repeat r = {.written = 0};
    assert_false(repeat_is_over(&r, 1000000));
    passed(&r, "garden", 6, 5000);
    passed(&r, "garden", 1, 64000);
    assert_false(repeat_is_over(&r, 64999));
    assert_true(repeat_is_over(&r, 65000));
    assert_int_equal(repeat_close(&r), 2);
    assert_false(repeat_is_over(&r, 1000000));
    assert_int_equal(passed(&r, "garden", 1, 90000), 1);
    assert_int_equal(repeat_close(&r), 0);
}

static void the_subject_ends_at_the_first_colon(void **state)
{
    assert_int_equal(repeat_subject("localhost:1883: away"), repeat_subject("localhost:1883: back"));
    assert_int_not_equal(repeat_subject("localhost:1883: away"), repeat_subject("localhost:1884: away"));
    assert_int_not_equal(repeat_subject("SIGTERM"), repeat_subject("SIGINT"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_subject_leaves_lines_for_others),
        cmocka_unit_test(many_subjects_share_the_limit_of_the_event),
        cmocka_unit_test(a_minute_begins_with_its_first_line),
        cmocka_unit_test(the_subject_ends_at_the_first_colon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
