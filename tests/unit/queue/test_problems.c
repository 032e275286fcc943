/* The table `problem`. */
#include "queue/limits_place.h"

#include "db/vfs.h"

static void a_problem_is_written_when_it_changes(void **state)
{
    struct queue *queue = open_limited(no_limits);
    upkeep(queue, 20);
    queue_problem_set(queue, "reader", "one");
    queue_problem_set(queue, "clock", "two");
    upkeep(queue, 1);
    assert_answer("SELECT name, description, abs(since_ms / 1000 - unixepoch()) < 5 FROM problem",
                  "clock|two|1\nreader|one|1");
    uint64_t bytes = db_wear().bytes_written;
    queue_problem_set(queue, "reader", "one");
    upkeep(queue, 3);
    assert_int_equal(db_wear().bytes_written, bytes);
    queue_problem_set(queue, "reader", "three");
    queue_problem_set(queue, "clock", NULL);
    upkeep(queue, 1);
    assert_answer("SELECT name, description FROM problem", "reader|three");
    queue_close(queue);
    assert_answer("SELECT count(*) FROM problem", "0");
}

static void a_new_run_forgets_old_problems(void **state)
{
    struct queue *queue = open_queue();
    queue_close(queue);
    change("INSERT INTO problem VALUES ('reader', 1, 'long ago')");
    queue = open_queue();
    assert_answer("SELECT count(*) FROM problem", "0");
    queue_close(queue);
}

static void a_full_queue_is_a_problem(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 2});
    store_many(queue, 2, 1);
    upkeep(queue, 1);
    assert_answer("SELECT name, description FROM problem",
                  "full|max_messages 2: messages wait at the broker (when_full = hold)");
    deliver(queue, 1, 2);
    upkeep(queue, 1);
    assert_answer("SELECT count(*) FROM problem", "0");
    queue_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(a_problem_is_written_when_it_changes),
        in_place(a_new_run_forgets_old_problems),
        in_place(a_full_queue_is_a_problem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
