/* test_replay.c - what is taken for a redelivery, and above all what is not. */
#include "unit.h"

#include "base/base.h"
#include "message/replay.h"
#include <string.h>

static uint64_t digest(const char *payload)
{
    return replay_digest("garden/a", payload, strlen(payload));
}

static void store(struct replay *replay, uint16_t packet_id, const char *payload, int64_t id)
{
    replay_received(replay, packet_id, digest(payload));
    replay_committed(replay, id);
}

static int setup(void **state)
{
    struct replay *replay = replay_new();
    store(replay, 7, "one", 1);
    store(replay, 8, "two", 2);
    replay_connected(replay, true);
    *state = replay;
    return 0;
}

static int teardown(void **state)
{
    replay_free(*state);
    return 0;
}

static void a_redelivery_is_recognised_again_and_again(void **state)
{
    for (int i = 0; i < 2; i++) {
        assert_true(replay_recognise(*state, true, 7, digest("one")));
        assert_true(replay_recognise(*state, true, 8, digest("two")));
        replay_connected(*state,
                         true); /* it was lost once more before the broker read the acknowledgements */
    }
}

static void equal_readings_are_two_readings(void **state)
{
    assert_false(replay_recognise(*state, true, 9, digest("one"))); /* another packet */
    assert_false(replay_recognise(*state, true, 7, digest("two")));
    assert_false(replay_recognise(*state, true, 7, replay_digest("garden/b", "one", 3)));
}

static void without_dup_it_is_new_and_ends_the_replay(void **state)
{
    assert_false(replay_recognise(*state, false, 7, digest("one")));
    assert_false(replay_expected(*state));
    assert_false(replay_recognise(*state, true, 7, digest("one")));
}

static void a_new_session_has_no_replay(void **state)
{
    replay_connected(*state, false);
    assert_false(replay_recognise(*state, true, 7, digest("one")));
}

static void qos_0_tells_nothing(void **state)
{
    assert_false(replay_recognise(*state, false, 0, digest("one")));
    assert_true(replay_recognise(*state, true, 7, digest("one")));
}

static void what_was_not_committed_is_not_known(void **state)
{
    replay_received(*state, 9, digest("three"));
    assert_false(replay_recognise(*state, true, 9, digest("three")));
    replay_discarded(*state);
    replay_committed(*state, 3);
    assert_false(replay_recognise(*state, true, 9, digest("three")));
}

/* Its identifier may be given to an equal reading. */
static void what_is_confirmed_is_forgotten(void **state)
{
    replay_confirmed(*state, 1);
    assert_false(replay_recognise(*state, true, 7, digest("one")));
    assert_true(replay_recognise(*state, true, 8, digest("two")));
    store(*state, 9, "late", 1); /* confirmed already: it left no row */
    assert_false(replay_recognise(*state, true, 9, digest("late")));
    replay_confirmed(*state, 2);
    assert_false(replay_recognise(*state, true, 8, digest("two")));
}

/* A broker that lost its memory counts from 1 again. When the commit of such a
 * message fails, it comes again with DUP, and must not be lost. */
static void an_identifier_that_is_given_anew_is_forgotten(void **state)
{
    assert_false(replay_recognise(*state, false, 7, digest("one")));
    replay_received(*state, 7, digest("one"));
    replay_discarded(*state);
    replay_connected(*state, true);
    assert_false(replay_recognise(*state, true, 7, digest("one")));
    assert_true(replay_recognise(*state, true, 8, digest("two")));
}

static void messages_before_a_redelivery_are_known(void **state)
{
    assert_true(replay_recognise(*state, true, 7, digest("one")));
    assert_int_equal(replay_before(*state), 0);
    assert_true(replay_recognise(*state, true, 8, digest("two")));
    assert_int_equal(replay_before(*state), 1);
    replay_received(*state, 9, digest("three"));
    replay_received(*state, 10, digest("four"));
    replay_committed(*state, 4); /* one commit: the id of the first is 3 or less */
    replay_connected(*state, true);
    assert_true(replay_recognise(*state, true, 10, digest("four")));
    assert_int_equal(replay_before(*state), 2);
    replay_confirmed(*state, 2);
    assert_int_equal(replay_before(*state), 0);
}

/* Mosquitto may have thousands unacknowledged after several lost connections. */
static void as_many_as_identifiers_are_known(void **state)
{
    for (unsigned id = 9; id <= 65535; id++)
        store(*state, (uint16_t)id, "more", id);
    replay_connected(*state, true);
    assert_true(replay_recognise(*state, true, 7, digest("one")));
    for (unsigned id = 9; id <= 65535; id++)
        assert_true(replay_recognise(*state, true, (uint16_t)id, digest("more")));
}

static void topic_and_payload_are_told_apart(void **state)
{
    (void)state;
    assert_true(replay_digest("a", "bc", 2) != replay_digest("ab", "c", 1));
    assert_true(replay_digest("a", NULL, 0) != replay_digest("a", "\0", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_redelivery_is_recognised_again_and_again, setup, teardown),
        cmocka_unit_test_setup_teardown(equal_readings_are_two_readings, setup, teardown),
        cmocka_unit_test_setup_teardown(without_dup_it_is_new_and_ends_the_replay, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_session_has_no_replay, setup, teardown),
        cmocka_unit_test_setup_teardown(qos_0_tells_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_not_committed_is_not_known, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_confirmed_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(an_identifier_that_is_given_anew_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_before_a_redelivery_are_known, setup, teardown),
        cmocka_unit_test_setup_teardown(as_many_as_identifiers_are_known, setup, teardown),
        cmocka_unit_test(topic_and_payload_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
