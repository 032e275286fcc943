/* The bound of dead letters: what goes, what stays, and that they keep no message out. */
#include "queue/limits_place.h"

static const char letter[3000];

/* Stores messages and dead-letters them. */
static void die(struct queue *queue, int count, size_t bytes)
{
    store_many(queue, count, bytes);
    for (int64_t id = queue_last_id(queue) - count + 1; id <= queue_last_id(queue); id++)
        assert_int_equal(queue_dead_letter(queue, id, 1, 400, "rejected", "x", 1000), 0);
}

/* As an edge does it, which stores what the queue has no limit against. */
static bool offer(struct queue *queue, size_t bytes)
{
    struct message message = reading("a", letter, bytes);
    if (queue_hold(queue))
        return false;
    assert_int_equal(queue_begin(queue), 0);
    assert_int_equal(queue_make_room(queue, bytes), 0);
    append(queue, &message);
    assert_int_equal(queue_commit(queue), 0);
    return true;
}

static void the_oldest_go_when_there_are_too_many(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_dead_messages = 10});
    die(queue, 25, 5);
    assert_answer("SELECT count(*), min(id), max(id) FROM dead_letter", "10|16|25");
    assert_answer("SELECT reason, route, messages, bytes FROM dropped", "max_dead_messages|sensor|15|75");
    assert_int_equal(queue_dropped(queue), 15);
    queue_close(queue);
}

static void the_oldest_go_when_they_take_too_much_space(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_dead = MIB});
    die(queue, 1000, sizeof letter);
    assert_answer(
        "SELECT count(*) BETWEEN 300 AND 350, max(id), max(id) - min(id) + 1 = count(*) FROM dead_letter",
        "1|1000|1");
    assert_answer("SELECT reason, messages = 1000 - (SELECT count(*) FROM dead_letter) FROM dropped",
                  "max_dead|1");
    queue_close(queue);
}

static void one_that_is_larger_than_the_limit_stays(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_dead = MIB});
    die(queue, 3, 2 * MIB);
    assert_answer("SELECT group_concat(id) FROM dead_letter", "3");
    queue_close(queue);
}

/* They become messages again. */
static void those_that_hold_a_route_go_last(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_dead_messages = 4});
    die(queue, 4, 5);
    assert_int_equal(queue_hold_route(queue, "sensor", (const int64_t[]){1, 3}, 2), 0);
    die(queue, 2, 5);
    assert_answer("SELECT group_concat(id) FROM dead_letter", "1,3,5,6");
    const struct config_queue fewer = {.max_size = no_limits.max_size, .max_dead_messages = 1};
    queue_limit(queue, &fewer);
    queue_upkeep(queue, false);
    assert_answer("SELECT group_concat(id) FROM dead_letter", "3");
    queue_close(queue);
}

static void a_lowered_limit_takes_effect_in_steps(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 0});
    die(queue, 1200, 5);
    const struct config_queue fewer = {.max_size = no_limits.max_size, .max_dead_messages = 100};
    queue_limit(queue, &fewer);
    queue_upkeep(queue, false);
    assert_answer("SELECT count(*) FROM dead_letter", "700");
    upkeep(queue, 2);
    assert_answer("SELECT count(*), min(id) FROM dead_letter", "100|1101");
    queue_close(queue);
}

/* Those of an earlier run, and those that come and go: no more than exist are counted. */
static void the_count_is_exact_whoever_changes_them(void **state)
{
    struct queue *queue = open_queue();
    die(queue, 10, 5);
    queue_close(queue);
    queue = open_limited((struct config_queue){.max_dead_messages = 12});
    assert_int_equal(queue_return(queue, 4), 0);
    assert_int_equal(queue_return(queue, 4), -ENOENT);
    die(queue, 3, 5); /* twelve of them */
    assert_answer("SELECT count(*) FROM dropped", "0");
    change("DELETE FROM dead_letter WHERE id <= 6");
    queue_upkeep(queue, false);
    die(queue, 5, 5);
    assert_answer("SELECT count(*), (SELECT count(*) FROM dropped) FROM dead_letter", "12|0");
    die(queue, 1, 5);
    assert_answer("SELECT count(*), min(id), (SELECT sum(messages) FROM dropped) FROM dead_letter", "12|8|1");
    cleanup_free char *filling = queue_filling_text(queue);
    assert_string_equal(filling, "1 message waits, 12 dead letters take 2.2 kB");
    queue_close(queue);
}

static void a_rollback_counts_nothing(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_dead_messages = 3});
    die(queue, 3, 5);
    assert_int_equal(queue_dead_letter(queue, 99, 1, 400, "rejected", "x", 1000), -ENOENT);
    assert_answer("SELECT group_concat(id), (SELECT count(*) FROM dropped) FROM dead_letter", "1,2,3|0");
    queue_close(queue);
}

/* when_full = hold: as many messages fit as if there were no dead letters. */
static void a_full_queue_drops_them_before_it_holds(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_size = 16 * MIB, .max_dead = 16 * MIB});
    int alone = 0, with = 0;
    while (offer(queue, sizeof letter))
        alone++;
    change("DELETE FROM message");
    queue_upkeep(queue, false);
    die(queue, 1000, sizeof letter);
    assert_answer("SELECT count(*) FROM dead_letter", "1000");
    while (offer(queue, sizeof letter))
        with++;
    assert_in_range(with, alone * 9 / 10, alone * 11 / 10);
    assert_answer("SELECT count(*) < 100 FROM dead_letter", "1");
    assert_answer("SELECT group_concat(reason), sum(messages) > 900 FROM dropped", "max_dead|1");
    assert_full(queue, "max_size");
    queue_close(queue);
}

/* Those that hold a route go when no message waits, and not before. */
static void a_full_queue_keeps_those_that_hold_a_route(void **state)
{
    static int64_t ids[1000];
    struct queue *queue = open_limited((struct config_queue){.max_size = 16 * MIB, .max_dead = 16 * MIB});
    die(queue, ARRAY_LEN(ids), sizeof letter);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        ids[i] = (int64_t)i + 1;
    assert_int_equal(queue_hold_route(queue, "sensor", ids, ARRAY_LEN(ids)), 0);
    while (offer(queue, sizeof letter))
        ;
    upkeep(queue, 3);
    assert_answer("SELECT count(*) FROM dead_letter", "1000");
    while (!queue_full(queue))
        die(queue, 1, sizeof letter);
    change("DELETE FROM message");
    for (int i = 0; i < 10 && queue_full(queue); i++)
        queue_upkeep(queue, false);
    assert_true(offer(queue, sizeof letter));
    queue_close(queue);
}

/* Messages fill the queue far beyond a lowered limit: no dead letter goes for nothing. */
static void they_stay_where_they_could_not_make_room(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_dead = 16 * MIB});
    store_many(queue, 8000, sizeof letter);
    die(queue, 50, sizeof letter);
    const struct config_queue smaller = {.max_size = 16 * MIB, .max_dead = 16 * MIB};
    queue_limit(queue, &smaller);
    upkeep(queue, 3);
    assert_full(queue, "max_size");
    assert_answer("SELECT count(*), (SELECT count(*) FROM dropped) FROM dead_letter", "50|0");
    queue_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(the_oldest_go_when_there_are_too_many),
        in_place(the_oldest_go_when_they_take_too_much_space),
        in_place(one_that_is_larger_than_the_limit_stays),
        in_place(those_that_hold_a_route_go_last),
        in_place(a_lowered_limit_takes_effect_in_steps),
        in_place(the_count_is_exact_whoever_changes_them),
        in_place(a_rollback_counts_nothing),
        in_place(a_full_queue_drops_them_before_it_holds),
        in_place(a_full_queue_keeps_those_that_hold_a_route),
        in_place(they_stay_where_they_could_not_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
