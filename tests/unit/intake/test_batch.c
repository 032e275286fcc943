/* What a batch returns in each state, and what the edge may do then: the table in
 * intake/batch.h. The clock is the test's own, and libuv's. */
#include "queue/queue_place.h"

#include "intake/batch.h"

#include <time.h>

static int64_t now_ms = 1000 * 1000;

static int64_t fake_clock_ms(clockid_t id)
{
    return now_ms;
}
#include "fake_clock.h"

static struct world {
    uv_loop_t loop;
    struct config config;
    struct config_route route;
    char *topic;
    struct metrics metrics;
    struct queue *queue;
    struct intake *intake;
    struct batch *batch;
    unsigned ready, released;
} world;

static void on_ready(void *context)
{
    world.ready++;
}

static void on_released(void *context)
{
    world.released++;
}

static struct batch *new_batch(unsigned messages, int64_t delay_ms)
{
    const struct batch_limits limits = {.messages = messages, .delay_ms = delay_ms};
    return batch_new(world.intake, &world.loop, &limits, on_ready, NULL);
}

static int set_up(void **state)
{
    make_place(state);
    memset(&world, 0, sizeof world);
    world.topic = "a/b";
    world.route = (struct config_route){.name = "sensor", .topics = {&world.topic, 1}};
    world.config.routes = &world.route;
    world.config.route_count = 1;
    world.config.queue.max_size = 1 << 30;
    assert_int_equal(uv_loop_init(&world.loop), 0);
    world.queue = open_queue();
    queue_limit(world.queue, &world.config.queue);
    world.intake = intake_new(world.queue, &world.config, &world.metrics, on_released, NULL);
    world.batch = new_batch(3, 0);
    return 0;
}

static int tear_down(void **state)
{
    batch_free(world.batch);
    uv_run(&world.loop, UV_RUN_DEFAULT);
    intake_free(world.intake);
    queue_close(world.queue);
    assert_int_equal(uv_loop_close(&world.loop), 0);
    return remove_place(state);
}

static void pass_ms(int64_t ms)
{
    now_ms += ms;
    uv_run(&world.loop, UV_RUN_NOWAIT);
}

static void take(const char *topic)
{
    const struct intake_message message = {.topic = topic,
                                           .source = "send",
                                           .payload = "1",
                                           .payload_bytes = 1,
                                           .copy = &(struct route_copy){.filter_count = 0}};
    batch_take(world.batch, &message);
}

static void store_one(void)
{
    assert_int_equal(batch_begin(world.batch), 0);
    take("a/b");
    assert_int_equal(batch_commit(world.batch), 0);
}

static sqlite3 *lock_database(void)
{
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    execute(handle, "begin immediate");
    return handle;
}

static void a_commit_is_released_once(void **state)
{
    batch_release(world.batch);
    assert_int_equal(world.released, 0);
    store_one();
    assert_int_equal(world.released, 0);
    assert_int_equal(world.metrics.stored, 1);
    batch_release(world.batch);
    batch_release(world.batch);
    assert_int_equal(world.released, 1);
}

static void a_commit_of_nothing_releases_nothing(void **state)
{
    assert_int_equal(batch_begin(world.batch), 0);
    assert_int_equal(batch_commit(world.batch), 0);
    batch_release(world.batch);
    assert_int_equal(world.released, 0);
}

static void a_release_is_due_until_it_is_made(void **state)
{
    store_one();
    assert_int_equal(batch_begin(world.batch), 0);
    assert_int_equal(batch_commit(world.batch), 0);
    batch_release(world.batch);
    assert_int_equal(world.released, 1);
}

static void a_batch_is_full_by_messages_or_bytes(void **state)
{
    assert_int_equal(batch_begin(world.batch), 0);
    take("a/b");
    batch_count_message(world.batch, 1);
    assert_false(batch_is_full(world.batch));
    take("no/route");
    assert_true(batch_is_full(world.batch));
    assert_int_equal(batch_messages(world.batch), 3);
    assert_int_equal(batch_commit(world.batch), 0);
    assert_int_equal(batch_begin(world.batch), 0);
    assert_false(batch_is_full(world.batch));
    batch_count_message(world.batch, 1024 * 1024);
    assert_true(batch_is_full(world.batch));
    assert_int_equal(batch_commit(world.batch), 0);
}

static void a_lock_is_waited_for(void **state)
{
    sqlite3 *other = lock_database();
    assert_int_equal(batch_begin(world.batch), -EAGAIN);
    assert_true(batch_is_locked(world.batch));
    assert_int_equal(batch_begin(world.batch), -EAGAIN);
    pass_ms(10);
    assert_int_equal(world.ready, 1);
    assert_int_equal(batch_begin(world.batch), -EAGAIN);
    sqlite3_close(other);
    pass_ms(10);
    assert_int_equal(world.ready, 2);
    store_one();
    assert_int_equal(world.metrics.longest_lock_ms, 20);
}

static void a_lock_that_lasts_is_a_failure(void **state)
{
    sqlite3 *other = lock_database();
    for (int waited_ms = 0; waited_ms < 10000; waited_ms += 10) {
        assert_int_equal(batch_begin(world.batch), -EAGAIN);
        pass_ms(10);
    }
    assert_int_equal(batch_begin(world.batch), -EBUSY);
    assert_false(batch_is_waiting(world.batch));
    assert_int_equal(batch_begin(world.batch), -EAGAIN); /* the next one has its own time */
    sqlite3_close(other);
}

static void the_next_lock_has_its_own_time(void **state)
{
    static void (*const ends[])(struct batch *) = {batch_stop_waiting, batch_end_lock_wait, batch_hurry};
    sqlite3 *other = lock_database();
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        assert_int_equal(batch_begin(world.batch), -EAGAIN);
        pass_ms(5);
        ends[i](world.batch);
        assert_false(batch_is_waiting(world.batch));
        pass_ms(60 * 60 * 1000);
    }
    sqlite3_close(other);
    store_one();
    assert_int_equal(world.ready, 0);
    assert_int_equal(world.metrics.longest_lock_ms, 5);
}

static void a_full_queue_ends_the_wait_for_a_lock(void **state)
{
    store_one();
    sqlite3 *other = lock_database();
    assert_int_equal(batch_begin(world.batch), -EAGAIN);
    pass_ms(10);
    world.config.queue.max_messages = 1;
    queue_limit(world.queue, &world.config.queue);
    assert_int_equal(batch_begin(world.batch), -ENOBUFS);
    pass_ms(60 * 60 * 1000);
    world.config.queue.max_messages = 0;
    queue_limit(world.queue, &world.config.queue);
    assert_int_equal(batch_begin(world.batch), -EAGAIN);
    sqlite3_close(other);
}

static void the_end_of_a_lock_does_not_end_a_delay(void **state)
{
    batch_free(world.batch);
    world.batch = new_batch(3, 1000);
    store_one();
    batch_end_lock_wait(world.batch);
    assert_int_equal(batch_begin(world.batch), -EAGAIN);
}

static void without_a_loop_a_lock_is_a_failure_at_once(void **state)
{
    sqlite3 *other = lock_database();
    struct batch *batch = batch_new(world.intake, NULL, &(struct batch_limits){.messages = 1}, NULL, NULL);
    assert_int_equal(batch_begin(batch), -EBUSY);
    batch_free(batch);
    sqlite3_close(other);
}

static void the_next_commit_is_delayed(void **state)
{
    batch_free(world.batch);
    world.batch = new_batch(3, 1000);
    store_one();
    pass_ms(999);
    assert_int_equal(batch_begin(world.batch), -EAGAIN);
    assert_int_equal(world.ready, 0);
    assert_false(batch_is_locked(world.batch));
    pass_ms(1);
    assert_int_equal(world.ready, 1);
    store_one();
    assert_int_equal(batch_begin_now(world.batch), 0); /* what cannot wait */
    assert_int_equal(batch_commit(world.batch), 0);
    batch_hurry(world.batch);
    store_one();
    store_one();
}

static void what_follows_a_full_batch_is_not_delayed(void **state)
{
    batch_free(world.batch);
    world.batch = new_batch(3, 1000);
    batch_set_most(world.batch, 1);
    store_one();
    store_one();
    batch_set_most(world.batch, 2);
    store_one();
    assert_int_equal(batch_begin(world.batch), -EAGAIN);
}

static void a_full_queue_takes_nothing(void **state)
{
    world.config.queue.max_messages = 2;
    queue_limit(world.queue, &world.config.queue);
    store_one();
    assert_int_equal(batch_begin(world.batch), 0);
    take("a/b");
    assert_true(batch_is_full(world.batch));
    take("a/b"); /* it was read already */
    assert_int_equal(batch_commit(world.batch), 0);
    assert_int_equal(world.metrics.stored, 3);
    assert_int_equal(batch_begin(world.batch), -ENOBUFS);
    assert_int_equal(batch_begin_now(world.batch), 0);
    assert_int_equal(batch_commit(world.batch), 0);
}

#ifdef SLUICE_FAULTS
static void what_fails_is_neither_stored_nor_released(void **state)
{
    store_one();
    batch_release(world.batch);
    assert_int_equal(batch_begin(world.batch), 0);
    take("a/b");
    assert_int_equal(batch_commit(world.batch), -EIO);
    batch_release(world.batch);
    assert_int_equal(world.released, 1);
    assert_int_equal(world.metrics.stored, 1);
    assert_int_equal(batch_begin(world.batch), -ENOBUFS);
    assert_int_equal(batch_try_storage(world.batch), -EIO);
    assert_int_equal(batch_try_storage(world.batch), 0);
    store_one();
}

static void a_failure_that_the_edge_met_needs_a_trial_commit(void **state)
{
    assert_int_equal(batch_try_storage(world.batch), 0); /* without one */
    batch_fail(world.batch);
    assert_int_equal(batch_try_storage(world.batch), -EIO);
    assert_int_equal(batch_try_storage(world.batch), 0);
}
#endif

#define in_world(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    setenv("SLUICE_FAULT", "queue.commit:2:fail,queue.trial:1:fail,queue.trial:3:fail", 1);
    const struct CMUnitTest tests[] = {
#ifdef SLUICE_FAULTS
        /* first, in this order: they count the commits */
        in_world(what_fails_is_neither_stored_nor_released),
        in_world(a_failure_that_the_edge_met_needs_a_trial_commit),
#endif
        in_world(a_commit_is_released_once),
        in_world(a_commit_of_nothing_releases_nothing),
        in_world(a_release_is_due_until_it_is_made),
        in_world(a_batch_is_full_by_messages_or_bytes),
        in_world(a_lock_is_waited_for),
        in_world(a_lock_that_lasts_is_a_failure),
        in_world(the_next_lock_has_its_own_time),
        in_world(a_full_queue_ends_the_wait_for_a_lock),
        in_world(the_end_of_a_lock_does_not_end_a_delay),
        in_world(without_a_loop_a_lock_is_a_failure_at_once),
        in_world(the_next_commit_is_delayed),
        in_world(what_follows_a_full_batch_is_not_delayed),
        in_world(a_full_queue_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
