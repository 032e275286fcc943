/* When the queue is full. */
#include "queue/limits_place.h"

static void without_limits_nothing_is_full(void **state)
{
    struct queue *queue = open_queue();
    store_many(queue, 1000, 10);
    assert_full(queue, NULL);
    assert_null(queue_hold(queue));
    assert_int_equal(queue_begin(queue), 0);
    assert_int_equal(queue_make_room(queue, 1000), 0);
    queue_rollback(queue);
    queue_close(queue);
}

static void messages_are_limited_exactly(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 10});
    store_many(queue, 9, 10);
    assert_full(queue, NULL);
    store_many(queue, 1, 10);
    assert_full(queue, "max_messages");
    assert_non_null(queue_hold(queue));
    deliver(queue, 1, 1);
    assert_full(queue, NULL);
    queue_close(queue);
}

/* So that a queue at its limit does not connect and disconnect for each message. */
static void a_full_queue_needs_some_room(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 100});
    store_many(queue, 100, 10);
    assert_full(queue, "max_messages");
    deliver(queue, 1, 4);
    assert_full(queue, "max_messages");
    deliver(queue, 5, 5);
    assert_full(queue, NULL);
    store_many(queue, 4, 10);
    assert_full(queue, NULL);
    store_many(queue, 1, 10);
    assert_full(queue, "max_messages");
    queue_close(queue);
}

static void it_becomes_full_within_a_transaction(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 10});
    struct message message = reading("a", "1", 1);
    assert_int_equal(queue_begin(queue), 0);
    int stored = 0;
    for (; !queue_full(queue); stored++)
        append(queue, &message);
    assert_int_equal(stored, 10);
    queue_rollback(queue);
    assert_full(queue, NULL);
    store_many(queue, 9, 1);
    assert_full(queue, NULL);
    queue_close(queue);
}

static void dead_letters_are_no_waiting_messages(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 10});
    store_many(queue, 10, 10);
    assert_full(queue, "max_messages");
    for (int64_t id = 1; id <= 10; id++)
        assert_int_equal(queue_dead_letter(queue, id, 1, 400, "rejected", "x", clock_wall_ms()), 0);
    assert_full(queue, NULL);
    store_many(queue, 9, 10);
    assert_full(queue, NULL);
    queue_close(queue);
}

static void limits_can_change(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 5});
    store_many(queue, 5, 10);
    assert_full(queue, "max_messages");
    struct config_queue config = no_limits;
    queue_limit(queue, &config);
    assert_full(queue, NULL);
    config.max_messages = 6;
    queue_limit(queue, &config);
    assert_full(queue, NULL);
    store_many(queue, 1, 10);
    assert_full(queue, "max_messages");
    queue_close(queue);
}

static void the_size_includes_the_write_ahead_log(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_size = 16 * MIB});
    int stored = 0;
    for (; !queue_full(queue); stored++)
        store_many(queue, 1, 50000);
    assert_full(queue, "max_size");
    assert_true(file_bytes("-wal") > 3 * MIB);
    int64_t size = size_by_sql();
    assert_in_range(size, 12 * MIB, 16 * MIB);
    deliver(queue, 1, stored / 2);
    assert_full(queue, NULL);
    queue_close(queue);
}

/* One transaction takes a whole batch: what it takes is seen before it ends. */
static void one_transaction_stays_within_the_size(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_size = 32 * MIB});
    static const char payload[300];
    struct message message = reading("a", payload, sizeof payload);
    while (!queue_full(queue)) {
        assert_int_equal(queue_begin(queue), 0);
        for (int i = 0; i < 3000 && !queue_full(queue); i++)
            append(queue, &message);
        assert_int_equal(queue_commit(queue), 0);
        assert_in_range(size_by_sql(), 0, 32 * MIB);
    }
    assert_in_range(size_by_sql(), 28 * MIB, 32 * MIB);
    queue_close(queue);
}

static void dead_letters_take_space(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_size = 16 * MIB});
    int64_t id = 0;
    while (!queue_full(queue)) {
        store_many(queue, 1, 50000);
        assert_int_equal(queue_dead_letter(queue, ++id, 1, 400, "rejected", "x", clock_wall_ms()), 0);
    }
    assert_full(queue, "max_size");
    queue_close(queue);
}

static void a_disk_that_other_programs_fill_is_full(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.min_free = INT64_C(1) << 60});
    assert_full(queue, "min_free");
    assert_non_null(queue_hold(queue));
    struct config_queue config = no_limits;
    config.min_free = 1;
    queue_limit(queue, &config);
    assert_full(queue, NULL);
    queue_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(without_limits_nothing_is_full),
        in_place(messages_are_limited_exactly),
        in_place(a_full_queue_needs_some_room),
        in_place(it_becomes_full_within_a_transaction),
        in_place(dead_letters_are_no_waiting_messages),
        in_place(limits_can_change),
        in_place(the_size_includes_the_write_ahead_log),
        in_place(one_transaction_stays_within_the_size),
        in_place(dead_letters_take_space),
        in_place(a_disk_that_other_programs_fill_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
