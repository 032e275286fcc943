/* When a backend or a route admits requests, and what ends a suspicion. */
#include "unit.h"

#include "deliver/scope.h"

static enum scope_step failed(struct scope *scope, unsigned probe, unsigned checks, int64_t now_ms)
{
    return scope_failed(scope, VERDICT_AWAY, probe, checks, now_ms);
}

static void a_trusted_scope_admits_any_number(void **state)
{
    struct scope scope = {0};
    for (int i = 0; i < 3; i++) {
        assert_true(scope_admits(&scope, 0));
        assert_int_equal(scope_started(&scope), 0);
    }
}

static void a_certain_failure_closes_it_until_the_wait_is_over(void **state)
{
    struct scope scope = {0};
    assert_int_equal(failed(&scope, 0, 0, 1000), SCOPE_WAIT);
    scope_wait(&scope, 1000, 500);
    assert_int_equal(scope.rounds, 1);
    assert_int_equal(scope.since_ms, 1000);
    assert_false(scope_is_checking(&scope));
    assert_false(scope_admits(&scope, 1499));
    assert_true(scope_admits(&scope, 1500));
}

static void a_doubtful_one_is_followed_by_checks_at_once(void **state)
{
    struct scope scope = {0};
    assert_int_equal(failed(&scope, 0, 2, 1000), SCOPE_CHECK);
    assert_true(scope_is_checking(&scope));
    assert_true(scope_admits(&scope, 1000));
    unsigned first = scope_started(&scope);
    assert_false(scope_admits(&scope, 1000)); /* one at a time */
    assert_int_equal(failed(&scope, first, 2, 1001), SCOPE_CHECK);
    assert_true(scope_admits(&scope, 1001));
    unsigned second = scope_started(&scope);
    assert_int_equal(failed(&scope, second, 2, 1002), SCOPE_WAIT);
    scope_wait(&scope, 1002, 500);
    assert_int_equal(scope.rounds, 1);
    assert_false(scope_is_checking(&scope));
    assert_false(scope_admits(&scope, 1501));
}

static void each_round_has_a_probe_and_its_checks(void **state)
{
    struct scope scope = {0};
    failed(&scope, 0, 0, 0);
    for (unsigned round = 2; round < 5; round++) {
        scope_wait(&scope, 0, 10);
        assert_false(scope_is_checking(&scope));
        assert_int_equal(failed(&scope, scope_started(&scope), 1, 20), SCOPE_CHECK);
        assert_true(scope_is_checking(&scope));
        assert_int_equal(failed(&scope, scope_started(&scope), 1, 20), SCOPE_WAIT);
        assert_int_equal(scope.rounds, round);
    }
}

static void a_certain_failure_of_a_check_ends_the_round(void **state)
{
    struct scope scope = {0};
    failed(&scope, 0, 16, 0);
    assert_int_equal(failed(&scope, scope_started(&scope), 0, 1), SCOPE_WAIT);
    assert_false(scope_is_checking(&scope));
}

static void without_a_message_to_check_the_round_is_over(void **state)
{
    struct scope scope = {0};
    failed(&scope, 0, 16, 0);
    scope_end_round(&scope);
    scope_wait(&scope, 0, 100);
    assert_int_equal(scope.rounds, 1);
    assert_false(scope_is_checking(&scope));
    assert_false(scope_admits(&scope, 99));
}

static void only_probes_count_while_it_is_suspected(void **state)
{
    struct scope scope = {0};
    failed(&scope, 0, 0, 0);
    scope_wait(&scope, 0, 10);
    for (int i = 0; i < 31; i++) /* what was in flight when it went away */
        assert_int_equal(failed(&scope, 0, 16, 1), SCOPE_NOTHING);
    assert_int_equal(scope.rounds, 1);
    unsigned probe = scope_started(&scope);
    assert_int_equal(scope_failed(&scope, VERDICT_MISCONFIGURED, probe, 0, 20), SCOPE_WAIT);
    assert_int_equal(scope.rounds, 2);
    assert_int_equal(scope.cause, VERDICT_MISCONFIGURED);
    assert_int_equal(scope.since_ms, 0);
}

static void whatever_passes_acquits(void **state)
{
    struct scope scope = {0};
    failed(&scope, 0, 16, 7);
    scope.announced = true;
    assert_true(scope_passed(&scope, 0));
    assert_true(scope.announced); /* the caller still has to report the end */
    assert_int_equal(scope.passes, 1);
    assert_false(scope_is_checking(&scope));
    assert_true(scope_admits(&scope, 7));
    assert_false(scope_passed(&scope, 0));
    assert_int_equal(scope.passes, 2);
}

static void a_firm_suspicion_ends_with_a_probe_or_check_only(void **state)
{
    struct scope scope = {0};
    failed(&scope, 0, 1, 0);
    scope.firm = true;
    assert_false(scope_passed(&scope, 0)); /* it was in flight before the backend asked for rest */
    assert_int_equal(scope.passes, 1);
    assert_true(scope_is_checking(&scope));
    unsigned check = scope_started(&scope);
    assert_false(scope_acquit(&scope, 0));
    assert_true(scope_passed(&scope, check));
    assert_false(scope.suspected);
}

static void a_probe_without_a_result_makes_room_for_another(void **state)
{
    struct scope scope = {0};
    failed(&scope, 0, 0, 0);
    scope_wait(&scope, 0, 10);
    unsigned probe = scope_started(&scope);
    scope_unstarted(&scope, probe);
    assert_true(scope_admits(&scope, 1000));
}

static void a_probe_of_an_earlier_suspicion_counts_for_no_later_one(void **state)
{
    struct scope scope = {0};
    failed(&scope, 0, 0, 0);
    unsigned old = scope_started(&scope);
    scope_passed(&scope, 0);
    failed(&scope, 0, 0, 10);
    scope_wait(&scope, 10, 10);
    assert_int_equal(failed(&scope, old, 0, 20), SCOPE_NOTHING);
    scope.firm = true;
    assert_false(scope_passed(&scope, old));
    unsigned probe = scope_started(&scope);
    scope_unstarted(&scope, old);
    assert_false(scope_admits(&scope, 100));
    assert_true(scope_passed(&scope, probe));
}

static void a_change_ends_a_wait_and_keeps_the_count(void **state)
{
    struct scope scope = {0};
    assert_false(scope_hurry(&scope, 0)); /* nothing is suspected */
    failed(&scope, 0, 0, 0);
    scope_wait(&scope, 0, 1000);
    assert_true(scope_hurry(&scope, 10));
    assert_true(scope_admits(&scope, 10));
    assert_false(scope_hurry(&scope, 10));
    assert_int_equal(failed(&scope, scope_started(&scope), 0, 20), SCOPE_WAIT);
    assert_int_equal(scope.rounds, 2);
    scope_wait(&scope, 20, 2000);
    assert_false(scope_admits(&scope, 2019));
    assert_true(scope_admits(&scope, 2020));
}

/* Its probe may have been sent before, and hang. */
static void a_change_during_a_round_is_followed_by_another_round(void **state)
{
    struct scope scope = {0};
    failed(&scope, 0, 0, 0);
    scope_wait(&scope, 0, 10);
    unsigned probe = scope_started(&scope);
    assert_true(scope_hurry(&scope, 20));
    assert_int_equal(failed(&scope, probe, 0, 30), SCOPE_WAIT);
    scope_wait(&scope, 30, 1000);
    assert_true(scope_admits(&scope, 30));
    failed(&scope, scope_started(&scope), 0, 40);
    scope_wait(&scope, 40, 1000); /* once */
    assert_false(scope_admits(&scope, 1039));
}

static void a_wait_that_was_asked_for_is_kept(void **state)
{
    struct scope scope = {0};
    failed(&scope, 0, 0, 0);
    scope.asked = true;
    scope_wait(&scope, 0, 1000);
    assert_false(scope_hurry(&scope, 10));
    assert_false(scope_admits(&scope, 999));
    unsigned probe = scope_started(&scope);
    scope_hurry(&scope, 1000);
    failed(&scope, probe, 0, 1010);
    scope_wait(&scope, 1010, 1000);
    assert_false(scope_admits(&scope, 2009));
    assert_true(scope_passed(&scope, 0));
    failed(&scope, 0, 0, 3000); /* another suspicion */
    scope_wait(&scope, 3000, 1000);
    assert_true(scope_hurry(&scope, 3010));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trusted_scope_admits_any_number),
        cmocka_unit_test(a_certain_failure_closes_it_until_the_wait_is_over),
        cmocka_unit_test(a_doubtful_one_is_followed_by_checks_at_once),
        cmocka_unit_test(each_round_has_a_probe_and_its_checks),
        cmocka_unit_test(a_certain_failure_of_a_check_ends_the_round),
        cmocka_unit_test(without_a_message_to_check_the_round_is_over),
        cmocka_unit_test(only_probes_count_while_it_is_suspected),
        cmocka_unit_test(whatever_passes_acquits),
        cmocka_unit_test(a_change_ends_a_wait_and_keeps_the_count),
        cmocka_unit_test(a_change_during_a_round_is_followed_by_another_round),
        cmocka_unit_test(a_wait_that_was_asked_for_is_kept),
        cmocka_unit_test(a_firm_suspicion_ends_with_a_probe_or_check_only),
        cmocka_unit_test(a_probe_without_a_result_makes_room_for_another),
        cmocka_unit_test(a_probe_of_an_earlier_suspicion_counts_for_no_later_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
