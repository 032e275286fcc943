/* Deleting delivered messages. */
#include "queue/queue_place.h"
#include "queue/settle.h"

static void settled_messages_are_deleted_by_a_commit_of_their_own(void **state)
{
    struct queue *queue = open_queue();
    int64_t first = store_text(queue, "a", "1");
    store_text(queue, "b", "2");
    confirm_and_settle(queue, first);
    assert_int_equal(queue_settled_count(queue), 1);
    assert_answer("SELECT count(*) FROM message", "2");
    assert_int_equal(queue_settle_commit(queue, SIZE_MAX), 0);
    assert_int_equal(queue_settled_count(queue), 0);
    assert_answer("SELECT topic FROM message", "b");
    queue_close(queue);
}

static void settled_messages_are_deleted_with_the_next_commit(void **state)
{
    struct queue *queue = open_queue();
    confirm_and_settle(queue, store_text(queue, "a", "1"));
    queue_confirm(queue, queue_last_id(queue));
    assert_int_equal(queue_begin(queue), 0);
    struct message message = reading("b", "2", 1);
    append(queue, &message);
    queue_rollback(queue);
    assert_int_equal(queue_settled_count(queue), 1); /* not forgotten by a rollback */
    store_text(queue, "c", "3");
    assert_int_equal(queue_settled_count(queue), 0);
    assert_answer("SELECT topic FROM message", "c");
    queue_close(queue);
}

static void settled_messages_are_deleted_when_the_queue_closes(void **state)
{
    struct queue *queue = open_queue();
    for (int i = 0; i < 300; i++)
        confirm_and_settle(queue, store_text(queue, "a", "1"));
    queue_confirm(queue, queue_last_id(queue));
    queue_close(queue);
    assert_answer("SELECT count(*) FROM message", "0");
}

/* The oldest are dropped, so all that is delivered is deleted, before the commit. A response may
 * come in between. */
static void a_message_that_is_settled_during_a_transaction_is_not_forgotten(void **state)
{
    struct queue *queue = open_queue();
    for (int i = 0; i < 4; i++)
        store_text(queue, "a", "1");
    queue_confirm(queue, 2);
    queue_settle(queue, 3, true); /* unconfirmed */
    queue_settle(queue, 2, true);
    for (int commits = 0; commits < 2; commits++) {
        assert_int_equal(queue_begin(queue), 0);
        assert_int_equal(queue_delivered_delete(queue), 0);
        queue_settle(queue, commits == 0 ? 1 : 4, true);
        assert_true(queue_is_settled(queue, 1) && queue_is_settled(queue, 2) && queue_is_settled(queue, 3));
        assert_int_equal(queue_is_settled(queue, 4), commits);
        struct message message = reading("b", "2", 1);
        append(queue, &message);
        if (commits == 0)
            queue_rollback(queue);
        else
            assert_int_equal(queue_commit(queue), 0);
    }
    assert_answer("SELECT id FROM message WHERE topic = 'a'", "4");
    assert_true(queue_is_settled(queue, 4)); /* it leaves with the next commit */
    assert_false(queue_is_settled(queue, 3));
    queue_confirm(queue, 4);
    assert_int_equal(queue_settle_commit(queue, SIZE_MAX), 0);
    assert_answer("SELECT count(*) FROM message WHERE topic = 'a'", "0");
    queue_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(settled_messages_are_deleted_by_a_commit_of_their_own),
        in_place(settled_messages_are_deleted_with_the_next_commit),
        in_place(settled_messages_are_deleted_when_the_queue_closes),
        in_place(a_message_that_is_settled_during_a_transaction_is_not_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
