/* How many messages there are. */
#include "queue/limits_place.h"

static const char many_rows[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)"
    " INSERT INTO message (id, run, route, topic, uptime_ms, packet_id, payload)"
    " SELECT 2 * i, (SELECT max(id) FROM run), 'sensor', 'a', 0, 1, x'00' FROM n";

/* While it is counted, rows come and go on both sides of where the count is. */
static void a_long_queue_is_counted_in_steps_and_exactly(void **state)
{
    queue_close(open_queue());
    change(many_rows);
    int64_t start_ms = clock_uptime_ms();
    struct queue *queue = open_limited((struct config_queue){.max_messages = 200100});
    queue_confirm(queue, 400000);
    assert_in_range(clock_uptime_ms() - start_ms, 0, 500);
    int64_t next = 2;
    for (int step = 0; step < 60; step++) {
        store_many(queue, 2, 1);
        deliver(queue, next, next + 9);                             /* half of them exist */
        deliver(queue, 400000 - 20 * step - 9, 400000 - 20 * step); /* those are counted last */
        deliver(queue, 200000 - 20 * step - 9, 200000 - 20 * step);
        next += 10;
        queue_upkeep(queue, false);
    }
    for (int step = 0; step < 2000; step++)
        queue_upkeep(queue, false);
    int stored = 0;
    for (; !queue_full(queue); stored++)
        store_many(queue, 1, 1);
    assert_in_range(stored, 500, 1500);
    assert_answer("SELECT count(*) FROM message", "200100");
    queue_close(queue);
}

/* The number is not known while it is counted; then nothing is full by it. */
static void a_change_by_another_process_starts_a_new_count(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 10});
    store_many(queue, 10, 1);
    assert_full(queue, "max_messages");
    change("DELETE FROM message WHERE id <= 7");
    queue_upkeep(queue, false);
    assert_full(queue, NULL);
    store_many(queue, 6, 1);
    assert_full(queue, NULL);
    store_many(queue, 1, 1);
    assert_full(queue, "max_messages");
    queue_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(a_long_queue_is_counted_in_steps_and_exactly),
        in_place(a_change_by_another_process_starts_a_new_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
