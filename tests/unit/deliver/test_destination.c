/* test_destination.c - the budget: by protocol, and opening slowly. */
#include "unit.h"

#include "deliver/destination.h"

static void start(struct destination *destination, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_true(destination_admits(destination, 0));
        destination_started(destination);
    }
    assert_false(destination_admits(destination, 0));
}

static void pass(struct destination *destination, unsigned count, unsigned http_version)
{
    for (unsigned i = 0; i < count; i++) {
        destination_ended(destination, http_version);
        destination_passed(destination, false);
    }
}

static void one_until_the_protocol_is_known(void **state)
{
    (void)state;
    struct destination destination;
    destination_init(&destination, 4, 32);
    start(&destination, 1);
    destination_ended(&destination, 0);
    destination_passed(&destination, true);
    start(&destination, 1);
}

static void opens_by_doubling_up_to_the_protocols_limit(void **state)
{
    (void)state;
    static const struct {
        unsigned version;
        unsigned budgets[8];
    } cases[] = {{1, {1, 2, 4, 4, 4, 4, 4, 4}}, {2, {1, 2, 4, 8, 16, 32, 32, 32}}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct destination destination;
        destination_init(&destination, 4, 32);
        for (size_t round = 0; round < 8; round++) {
            assert_int_equal(destination_budget(&destination), cases[i].budgets[round]);
            start(&destination, cases[i].budgets[round]);
            pass(&destination, cases[i].budgets[round], cases[i].version);
        }
    }
}

static void a_failure_closes_it_to_one_probe(void **state)
{
    (void)state;
    struct destination destination;
    destination_init(&destination, 4, 32);
    for (unsigned round = 1; round <= 8; round *= 2) {
        start(&destination, round);
        pass(&destination, round, 2);
    }
    for (int i = 0; i < 16; i++)
        destination_started(&destination);
    destination_ended(&destination, 0);
    assert_int_equal(destination_failed(&destination, VERDICT_AWAY, false, 0, 100), SCOPE_WAIT);
    scope_wait(&destination.scope, 100, 50);
    assert_false(destination_admits(&destination, 149));
    /* Fifteen hang; the probe does not wait for them. */
    assert_true(destination_admits(&destination, 150));
    assert_true(destination_started(&destination));
    assert_false(destination_admits(&destination, 10000));
    destination_ended(&destination, 2);
    assert_true(destination_passed(&destination, true));
    assert_int_equal(destination_budget(&destination), 2);
}

/* A proxy in between may speak another protocol than the backend did. */
static void the_limit_follows_the_protocol(void **state)
{
    (void)state;
    struct destination destination;
    destination_init(&destination, 2, 8);
    for (unsigned i = 0; i < 10; i++) {
        destination_started(&destination);
        pass(&destination, 1, 2);
    }
    assert_int_equal(destination_budget(&destination), 8);
    start(&destination, 8);
    pass(&destination, 1, 1);
    assert_int_equal(destination_budget(&destination), 2);
    assert_false(destination_admits(&destination, 0)); /* seven are in flight still */
    pass(&destination, 5, 0);                          /* no response: nothing is known */
    assert_false(destination_admits(&destination, 0));
    pass(&destination, 1, 1);
    start(&destination, 1);
    pass(&destination, 2, 2);
    start(&destination, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_until_the_protocol_is_known),
        cmocka_unit_test(opens_by_doubling_up_to_the_protocols_limit),
        cmocka_unit_test(a_failure_closes_it_to_one_probe),
        cmocka_unit_test(the_limit_follows_the_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
