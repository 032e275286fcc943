/* What storing a message costs the card: one sync and one page, and no more. */
#include "queue/queue_place.h"

#include "db/vfs.h"

enum {
    PAGE = 4096,
    FRAME = PAGE + 24,    /* a page in the write-ahead log, with its header */
    CHECKPOINT_AT = 1000, /* frames: SQLite's own rule; the tests stay below, or reckon with it */
};

static char payload[120];

static int64_t store_reading(struct queue *queue)
{
    struct message message = reading("garden/wino-1/sensor", payload, sizeof payload);
    return store(queue, &message);
}

/* What was written since; all of it must be whole frames. */
static unsigned frames_since(const struct db_wear *since)
{
    struct db_wear now = db_wear();
    uint64_t bytes = now.bytes_written - since->bytes_written;
    assert_int_equal(bytes % FRAME, 0);
    return (unsigned)(bytes / FRAME);
}

static unsigned syncs_since(const struct db_wear *since)
{
    return (unsigned)(db_wear().syncs - since->syncs);
}

/* The log begins with a header of its own when it was empty. */
static struct queue *open_with_log_begun(void)
{
    struct queue *queue = open_queue();
    confirm_and_settle(queue, store_reading(queue));
    return queue;
}

static void storing_a_message_writes_one_page_and_syncs_once(void **state)
{
    struct queue *queue = open_with_log_begun();
    for (int i = 0; i < 200; i++) {
        struct db_wear before = db_wear();
        int64_t id = store_reading(queue); /* and deletes the one before, which was delivered */
        assert_int_equal(frames_since(&before), 1);
        assert_int_equal(syncs_since(&before), 1);
        confirm_and_settle(queue, id);
    }
    queue_close(queue);
}

static void deleting_by_itself_writes_one_page_and_syncs_nothing(void **state)
{
    struct queue *queue = open_with_log_begun();
    for (int i = 0; i < 200; i++) {
        confirm_and_settle(queue, store_reading(queue));
        struct db_wear before = db_wear();
        assert_int_equal(queue_settle_commit(queue, SIZE_MAX), 0);
        assert_int_equal(frames_since(&before), 1);
        assert_int_equal(syncs_since(&before), 0);
        before = db_wear();
        assert_int_equal(queue_settle_commit(queue, SIZE_MAX), 0); /* nothing to delete */
        assert_int_equal(frames_since(&before), 0);
    }
    queue_close(queue);
}

/* Each new page of the table also changes its parent, the database's first page,
 * and, for space to be given back later, the map of who points to whom. */
static void a_growing_queue_writes_little_more_than_its_last_page(void **state)
{
    struct queue *queue = open_with_log_begun();
    struct db_wear before = db_wear();
    for (int i = 0; i < 400; i++)
        store_reading(queue);
    assert_in_range(frames_since(&before), 400, 400 + 400 / 20 * 3);
    assert_int_equal(syncs_since(&before), 400);
    queue_close(queue);
}

static void nothing_is_written_where_nothing_was_stored(void **state)
{
    struct queue *queue = open_with_log_begun();
    struct db_wear before = db_wear();
    for (int i = 0; i < 5; i++) {
        assert_int_equal(queue_begin(queue), 0);
        assert_int_equal(queue_commit(queue), 0);
    }
    assert_int_equal(frames_since(&before), 0);
    assert_int_equal(syncs_since(&before), 0);
    queue_close(queue);
}

/* Checkpoints are included: each page goes into the database once for hundreds of
 * commits that changed it. */
static void checkpoints_cost_little(void **state)
{
    struct queue *queue = open_with_log_begun();
    struct db_wear before = db_wear();
    enum { MESSAGES = 3 * CHECKPOINT_AT };
    for (int i = 0; i < MESSAGES; i++)
        confirm_and_settle(queue, store_reading(queue));
    struct db_wear now = db_wear();
    assert_in_range((now.bytes_written - before.bytes_written) / MESSAGES, FRAME, FRAME + 100);
    assert_in_range(syncs_since(&before), MESSAGES, MESSAGES + 3 * 4);
    assert_in_range(now.truncates - before.truncates, 1, 3 * 2);
    queue_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(storing_a_message_writes_one_page_and_syncs_once),
        in_place(deleting_by_itself_writes_one_page_and_syncs_nothing),
        in_place(a_growing_queue_writes_little_more_than_its_last_page),
        in_place(nothing_is_written_where_nothing_was_stored),
        in_place(checkpoints_cost_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
