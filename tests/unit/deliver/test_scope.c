/* test_scope.c - suspicion: when a scope admits requests, and what acquits it. */
#include "unit.h"

#include "deliver/scope.h"

static void a_trusted_scope_admits_any_number(void **state)
{
    (void)state;
    struct scope scope = {0};
    for (int i = 0; i < 3; i++) {
        assert_true(scope_admits(&scope, 0));
        assert_false(scope_started(&scope));
    }
}

static void a_failure_closes_it_until_the_wait_is_over(void **state)
{
    (void)state;
    struct scope scope = {0};
    assert_true(scope_failed(&scope, VERDICT_AWAY, false, 1000));
    scope_wait(&scope, 1000, 500);
    assert_int_equal(scope.failures, 1);
    assert_int_equal(scope.since_ms, 1000);
    assert_false(scope_admits(&scope, 1499));
    assert_true(scope_admits(&scope, 1500));
}

static void one_probe_at_a_time(void **state)
{
    (void)state;
    struct scope scope = {0};
    scope_failed(&scope, VERDICT_AWAY, false, 0);
    scope_wait(&scope, 0, 10);
    assert_true(scope_started(&scope));
    assert_false(scope_admits(&scope, 1000));
    scope_unstarted(&scope, true); /* it showed nothing */
    assert_true(scope_admits(&scope, 1000));
}

static void only_probes_count_while_it_is_suspected(void **state)
{
    (void)state;
    struct scope scope = {0};
    scope_failed(&scope, VERDICT_AWAY, false, 0);
    scope_wait(&scope, 0, 10);
    for (int i = 0; i < 31; i++) /* what was in flight when it went away */
        assert_false(scope_failed(&scope, VERDICT_AWAY, false, 1));
    assert_int_equal(scope.failures, 1);
    assert_true(scope_started(&scope));
    assert_true(scope_failed(&scope, VERDICT_MISCONFIGURED, true, 20));
    assert_int_equal(scope.failures, 2);
    assert_int_equal(scope.cause, VERDICT_MISCONFIGURED);
    assert_int_equal(scope.since_ms, 0);
}

static void whatever_passes_acquits(void **state)
{
    (void)state;
    struct scope scope = {0};
    scope_failed(&scope, VERDICT_AWAY, false, 7);
    scope.announced = true;
    assert_true(scope_passed(&scope, false));
    assert_true(scope.announced); /* the caller still has to log the end */
    assert_int_equal(scope.passes, 1);
    assert_true(scope_admits(&scope, 7));
    assert_false(scope_passed(&scope, false));
    assert_int_equal(scope.passes, 2);
}

static void a_firm_suspicion_ends_with_a_probe_only(void **state)
{
    (void)state;
    struct scope scope = {0};
    scope_failed(&scope, VERDICT_AWAY, false, 0);
    scope_wait(&scope, 0, 1000);
    scope.firm = true;
    assert_false(scope_passed(&scope, false)); /* it was in flight before the backend asked for rest */
    assert_int_equal(scope.passes, 1);
    assert_false(scope_admits(&scope, 999));
    assert_true(scope_started(&scope));
    assert_true(scope_passed(&scope, true));
    assert_true(scope_admits(&scope, 0));
}

static void an_answer_acquits_without_a_delivery(void **state)
{
    (void)state;
    struct scope scope = {0};
    scope_failed(&scope, VERDICT_AWAY, false, 7);
    assert_true(scope_acquit(&scope, false));
    assert_int_equal(scope.passes, 0); /* proves nothing against another message */
    assert_false(scope_acquit(&scope, false));
}

static void a_new_suspicion_starts_afresh(void **state)
{
    (void)state;
    struct scope scope = {0};
    scope_failed(&scope, VERDICT_AWAY, false, 0);
    scope_wait(&scope, 0, 0);
    assert_true(scope_started(&scope));
    scope_failed(&scope, VERDICT_AWAY, true, 5);
    scope.announced = scope.alarmed = true;
    scope_passed(&scope, false);
    assert_true(scope_failed(&scope, VERDICT_AWAY, true, 50)); /* that old probe ends only now */
    assert_int_equal(scope.failures, 1);
    assert_int_equal(scope.since_ms, 50);
    assert_false(scope.announced || scope.alarmed || scope.probing);
}

/* It was in flight when something else ended its suspicion. */
static void a_probe_of_an_earlier_suspicion_is_none_of_this_one(void **state)
{
    struct scope scope = {0};
    scope_failed(&scope, VERDICT_AWAY, false, 0);
    unsigned old = scope_started(&scope);
    assert_true(old > 0);
    assert_true(scope_passed(&scope, false));
    scope_failed(&scope, VERDICT_AWAY, false, 10);
    scope_wait(&scope, 10, 5);
    unsigned probe = scope_started(&scope);
    assert_int_not_equal(probe, old);
    assert_false(scope_failed(&scope, VERDICT_AWAY, old, 20));
    assert_false(scope_admits(&scope, 1000)); /* the other one is in flight */
    scope_unstarted(&scope, old);
    assert_false(scope_admits(&scope, 1000));
    scope.firm = true;
    assert_false(scope_passed(&scope, old));
    assert_true(scope_passed(&scope, probe));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trusted_scope_admits_any_number),
        cmocka_unit_test(a_failure_closes_it_until_the_wait_is_over),
        cmocka_unit_test(one_probe_at_a_time),
        cmocka_unit_test(only_probes_count_while_it_is_suspected),
        cmocka_unit_test(a_probe_of_an_earlier_suspicion_is_none_of_this_one),
        cmocka_unit_test(whatever_passes_acquits),
        cmocka_unit_test(a_firm_suspicion_ends_with_a_probe_only),
        cmocka_unit_test(an_answer_acquits_without_a_delivery),
        cmocka_unit_test(a_new_suspicion_starts_afresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
