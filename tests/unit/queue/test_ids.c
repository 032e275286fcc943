/* Ids of messages never repeat. */
#include "queue/clock.h"
#include "queue/ids.h"
#include "queue/queue_place.h"

static void deliver_up_to(struct queue *queue, int64_t first, int64_t last)
{
    queue_confirm(queue, last);
    for (int64_t id = first; id <= last; id++)
        queue_settle(queue, id, true);
    assert_int_equal(queue_settle_commit(queue, SIZE_MAX), 0);
}

static int64_t store_many(struct queue *queue, int count)
{
    struct message message = reading("a", "1", 1);
    int64_t id = 0;
    assert_int_equal(queue_begin(queue), 0);
    for (int i = 0; i < count; i++)
        id = append(queue, &message);
    assert_int_equal(queue_commit(queue), 0);
    return id;
}

/* The queue is empty again and again, and each time another run opens it. */
static void ids_are_consecutive_over_a_clean_end(void **state)
{
    for (int64_t id = 1; id <= 3; id++) {
        struct queue *queue = open_queue();
        assert_int_equal(store_text(queue, "a", "1"), id);
        deliver_up_to(queue, id, id);
        queue_close(queue);
        assert_answer("SELECT count(*) FROM message", "0");
    }
}

static void use_more_than_reserved(struct queue *queue)
{
    assert_int_equal(store_many(queue, IDS_MOST + 10), IDS_MOST + 10);
    deliver_up_to(queue, 1, IDS_MOST + 10);
}

static void ids_go_on_after_a_crash(void **state)
{
    crash_after(use_more_than_reserved);
    assert_answer("SELECT count(*) FROM message", "0");
    struct queue *queue = open_queue();
    int64_t id = store_text(queue, "a", "1");
    assert_true(id > IDS_MOST + 10 && id <= 2 * IDS_MOST + 11);
    queue_close(queue);
}

static void fail_a_commit_then_use_more(struct queue *queue)
{
    struct message message = reading("a", "1", 1);
    assert_int_equal(queue_begin(queue), 0);
    for (int i = 0; i <= IDS_MOST; i++)
        append(queue, &message);
    queue_rollback(queue);
    int64_t id = store_many(queue, 1);
    assert_true(id > IDS_MOST);
    deliver_up_to(queue, id, id);
}

static void a_reservation_that_was_rolled_back_is_made_again(void **state)
{
    crash_after(fail_a_commit_then_use_more);
    struct queue *queue = open_queue();
    assert_true(store_text(queue, "a", "1") > IDS_MOST + 2);
    queue_close(queue);
}

static void step_and_use(struct queue *queue)
{
    queue->clock.epoch.synchronised = true;
    store_many(queue, 5);
    struct clock_epoch now = queue->clock.epoch;
    now.ms += 3600 * 1000;
    assert_int_equal(queue_clock_set(queue, &now), 0);
    store_many(queue, IDS_MOST);
    deliver_up_to(queue, 1, IDS_MOST + 5);
}

static void ids_go_on_after_a_step_of_the_clock(void **state)
{
    crash_after(step_and_use);
    struct queue *queue = open_queue();
    assert_true(store_text(queue, "a", "1") > IDS_MOST + 5);
    queue_close(queue);
}

/* Ids that were given after the copy was made are not known to it. */
static void an_older_copy_leaves_many_ids_out(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    queue_close(queue);
    cleanup_free char *copy = xasprintf("%s/clone.db", place.dir);
    copy_file(place.path, copy);
    queue = open_queue();
    int64_t last = store_many(queue, 2 * IDS_MOST);
    queue_close(queue);
    copy_file(copy, place.path);
    queue = open_queue();
    assert_true(store_text(queue, "a", "1") > last);
    queue_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(ids_are_consecutive_over_a_clean_end),
        in_place(ids_go_on_after_a_crash),
        in_place(a_reservation_that_was_rolled_back_is_made_again),
        in_place(ids_go_on_after_a_step_of_the_clock),
        in_place(an_older_copy_leaves_many_ids_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
