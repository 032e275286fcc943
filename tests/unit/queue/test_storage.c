/* Storage that fails, and free space. */
#include "queue/limits_place.h"

#include "db/vfs.h"

#include <signal.h>
#include <sys/resource.h>

static void a_queue_that_shrinks_gives_space_back(void **state)
{
    struct queue *queue = open_limited(no_limits);
    store_many(queue, 600, 50000);
    deliver(queue, 1, 600);
    upkeep(queue, 1);
    assert_true(file_bytes("") > 25 * MIB);
    upkeep(queue, 60);
    assert_in_range(file_bytes(""), 1, 6 * MIB);
    queue_close(queue);
}

static void a_queue_that_grows_and_shrinks_keeps_its_space(void **state)
{
    struct queue *queue = open_limited(no_limits);
    upkeep(queue, 20); /* the reserve */
    store_many(queue, 100, 50000);
    deliver(queue, 1, 100);
    struct db_wear before = db_wear();
    int64_t bytes = file_bytes("");
    upkeep(queue, 20);
    struct db_wear after = db_wear();
    assert_int_equal(after.syncs, before.syncs);
    assert_int_equal(after.bytes_written, before.bytes_written);
    assert_int_equal(file_bytes(""), bytes);
    queue_close(queue);
}

static void the_reserve_is_made_in_steps(void **state)
{
    struct queue *queue = open_limited(no_limits);
    assert_int_equal(file_bytes("-reserve"), 0);
    upkeep(queue, 20);
    assert_int_equal(file_bytes("-reserve"), 8 * MIB);
    assert_full(queue, NULL);
    queue_close(queue);
    assert_int_equal(file_bytes("-reserve"), 8 * MIB);
}

static void the_reserve_leaves_min_free(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.min_free = INT64_C(1) << 60});
    upkeep(queue, 20);
    assert_int_equal(file_bytes("-reserve"), 0);
    queue_close(queue);
}

static void a_queue_is_full_while_its_storage_fails(void **state)
{
    struct queue *queue = open_limited(no_limits);
    store_text(queue, "a", "kept");
    struct rlimit old, none;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    none = old;
    none.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_true(queue_trial_commit(queue) < 0);
    assert_true(queue_fails(queue));
    assert_full(queue, "storage");
    assert_string_equal(queue_hold(queue), "storage");
    upkeep(queue, 3);
    assert_true(queue_trial_commit(queue) < 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(queue_trial_commit(queue), 0);
    assert_false(queue_fails(queue));
    assert_full(queue, NULL);
    assert_null(queue_hold(queue));
    queue_close(queue);
}

static void a_lock_is_not_a_failure(void **state)
{
    struct queue *queue = open_limited(no_limits);
    sqlite3 *other = look(SQLITE_OPEN_READWRITE);
    execute(other, "BEGIN IMMEDIATE");
    assert_int_equal(queue_begin(queue), -EBUSY);
    assert_false(queue_fails(queue));
    assert_full(queue, NULL);
    queue_problem_set(queue, "clock", "wrong");
    upkeep(queue, 1);
    execute(other, "ROLLBACK");
    sqlite3_close(other);
    upkeep(queue, 1);
    assert_answer("SELECT name, description FROM problem", "clock|wrong");
    queue_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(a_queue_that_shrinks_gives_space_back),
        in_place(a_queue_that_grows_and_shrinks_keeps_its_space),
        in_place(the_reserve_is_made_in_steps),
        in_place(the_reserve_leaves_min_free),
        in_place(a_queue_is_full_while_its_storage_fails),
        in_place(a_lock_is_not_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
