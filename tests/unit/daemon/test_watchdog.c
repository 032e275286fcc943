/* When a thread reports to systemd in place of the loop. */
#include "unit.h"

#include "daemon/watchdog.h"

enum { LOOK_MS = 1000, LOOKS_MOST = WATCHDOG_DISK_MOST_MS / LOOK_MS };

static bool helps(struct watchdog_look *last, uint64_t reports, uint64_t steps, uint64_t progress)
{
    struct watchdog_look now = {.reports = reports, .disk = {.steps = steps, .progress = progress}};
    return watchdog_must_help(last, now, LOOK_MS);
}

static void it_helps_while_an_operation_is_in_flight(void **state)
{
    struct watchdog_look last = {.reports = 5, .disk = {.steps = 100}};
    for (int i = 0; i < 50; i++)
        assert_true(helps(&last, 5, 101, 0));
    assert_true(helps(&last, 5, 102, 0)); /* it ended since the last look */
    assert_false(helps(&last, 5, 102, 0));
}

static void it_helps_while_operations_follow_each_other(void **state)
{
    struct watchdog_look last = {.disk = {.steps = 2}};
    for (uint64_t steps = 4; steps < 50; steps += 2)
        assert_true(helps(&last, 0, steps, 0));
}

static void it_does_not_help_a_loop_that_hangs_elsewhere(void **state)
{
    struct watchdog_look last = {.reports = 5, .disk = {.steps = 100}};
    for (int i = 0; i < 50; i++)
        assert_false(helps(&last, 5, 100, 0));
}

static void it_is_silent_while_the_loop_reports(void **state)
{
    struct watchdog_look last = {0};
    for (uint64_t i = 1; i < 50; i++)
        assert_false(helps(&last, i, 3 * i, 0));
}

static unsigned helped(struct watchdog_look *last, uint64_t reports, uint64_t progress)
{
    unsigned count = 0;
    while (count <= LOOKS_MOST && helps(last, reports, 1, progress))
        count++;
    return count;
}

static void without_progress_its_help_ends(void **state)
{
    struct watchdog_look last = {.disk = {.steps = 1}};
    assert_int_equal(helped(&last, 0, 0), LOOKS_MOST);
    assert_false(helps(&last, 0, 1, 0));
    assert_int_equal(helped(&last, 0, 1), LOOKS_MOST); /* a salvage that goes on */
    assert_false(helps(&last, 1, 1, 1));               /* the loop came round */
    assert_int_equal(helped(&last, 1, 1), LOOKS_MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_helps_while_an_operation_is_in_flight),
        cmocka_unit_test(it_helps_while_operations_follow_each_other),
        cmocka_unit_test(it_does_not_help_a_loop_that_hangs_elsewhere),
        cmocka_unit_test(it_is_silent_while_the_loop_reports),
        cmocka_unit_test(without_progress_its_help_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
