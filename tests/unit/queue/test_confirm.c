/* Confirmed, released and awaited messages: the rule of queue/confirm.h. */
#include "message/replay.h"
#include "queue/queue_place.h"

#include "queue/clock.h"

static void a_delivered_row_stays_until_it_is_confirmed(void **state)
{
    struct queue *queue = open_queue();
    int64_t first = store_text(queue, "a", "1");
    int64_t second = store_text(queue, "a", "2");
    queue_settle(queue, first, true);
    queue_settle(queue, second, true);
    assert_int_equal(queue_settled_count(queue), 0);
    assert_int_equal(queue_unconfirmed_count(queue), 2);
    assert_true(queue_is_settled(queue, first));
    queue_confirm(queue, first);
    assert_int_equal(queue_settled_count(queue), 1);
    assert_int_equal(queue_settle_commit(queue, SIZE_MAX), 0);
    assert_false(queue_is_settled(queue, first));
    assert_true(queue_is_settled(queue, second));
    struct message message;
    assert_int_equal(queue_fetch(queue, first, &message), -ENOENT);
    assert_int_equal(queue_fetch(queue, second, &message), 0);
    queue_fetch_done(queue);
    queue_close(queue);
}

static void the_next_run_knows_the_confirmed_id(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    int64_t confirmed = store_text(queue, "a", "2");
    store_text(queue, "a", "3");
    queue_confirm(queue, confirmed);
    queue_close(queue);
    queue = open_queue();
    assert_int_equal(queue_confirmed_id(queue), confirmed);
    queue_close(queue);
}

struct packets {
    int count;
    int ids[8];
    uint64_t digests[8];
};

static void see_packet(void *context, int64_t id, uint16_t packet_id, uint64_t digest)
{
    struct packets *packets = context;
    assert_true(packets->count < 8);
    packets->ids[packets->count] = packet_id;
    packets->digests[packets->count++] = digest;
}

static void the_newest_packets_are_recognised_after_a_restart(void **state)
{
    struct queue *queue = open_queue();
    for (int i = 0; i < 5; i++) {
        const char topic[] = {(char)('a' + i), '\0'};
        struct message message = reading(topic, topic, 1);
        message.packet_id = 100 + i;
        int64_t id = store(queue, &message);
        if (i == 3)
            assert_int_equal(queue_dead_letter(queue, id, 1, 400, "rejected", "x", clock_wall_ms()), 0);
    }
    queue_close(queue);
    queue = open_queue();
    struct packets packets = {0};
    assert_true(queue_unconfirmed_each(queue, 3, see_packet, &packets) >= 0);
    assert_int_equal(packets.count, 3); /* the newest three, oldest first, the dead one too */
    for (int i = 0; i < 3; i++)
        assert_int_equal(packets.ids[i], 102 + i);
    assert_true(packets.digests[2] == replay_digest("e", "e", 1));
    queue_close(queue);
}

static struct packets packets_of(struct queue *queue)
{
    struct packets packets = {0};
    assert_int_equal(queue_unconfirmed_each(queue, 1000, see_packet, &packets), 0);
    return packets;
}

/* Nobody can confirm it while a full queue holds. */
static void a_released_message_is_recognised_until_it_is_confirmed(void **state)
{
    struct queue *queue = open_queue();
    struct message twice = reading("a", "1", 1);
    queue_settle(queue, store(queue, &twice), true);
    int64_t waits = store_text(queue, "b", "2");
    struct message posted = reading("/api", "3", 1);
    posted.packet_id = 0;
    queue_settle(queue, store(queue, &posted), true);
    assert_true(queue_is_awaited(queue, waits));
    queue_release_awaited(queue);
    assert_false(queue_is_awaited(queue, waits));
    assert_int_equal(queue_settled_count(queue), 2);
    assert_int_equal(queue_settle_commit(queue, SIZE_MAX), 0);
    assert_answer("SELECT group_concat(topic) FROM message", "b");
    queue_close(queue);

    queue = open_queue();
    struct packets packets = packets_of(queue);
    assert_int_equal(packets.count, 2);
    assert_true(packets.digests[0] == replay_digest("a", "1", 1));
    assert_true(packets.digests[1] == replay_digest("b", "2", 1));
    queue_release_awaited(queue);
    queue_settle(queue, waits, true); /* delivered afterwards */
    assert_int_equal(queue_unconfirmed_count(queue), 0);
    assert_int_equal(queue_settle_commit(queue, SIZE_MAX), 0);
    queue_close(queue);

    queue = open_queue(); /* when the queue has no message at all */
    assert_int_equal(packets_of(queue).count, 2);
    int64_t newer = store_text(queue, "c", "4");
    assert_true(newer > waits);
    assert_int_equal(packets_of(queue).count, 3);
    queue_confirm(queue, waits);
    queue_upkeep(queue, true); /* also when no confirmed message waits */
    assert_answer("SELECT count(*) FROM fingerprint", "0");
    assert_int_equal(packets_of(queue).count, 1);
    queue_close(queue);
}

/* The broker may use the packet identifiers of confirmed messages again. */
static void a_saved_confirmation_outlives_a_crash(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "a", "a");
    store_text(queue, "b", "b");
    queue_confirm(queue, 1);
    assert_int_equal(queue_confirmed_save(queue), 0);
    queue_confirm(queue, 2); /* not saved */
    assert_answer("SELECT max(confirmed_id) FROM run", "1");
    store_text(queue, "c", "c");
    queue_close(queue);
    sqlite3 *crash = look(SQLITE_OPEN_READWRITE); /* leaves it so */
    execute(crash, "UPDATE run SET confirmed_id = 1");
    sqlite3_close(crash);

    queue = open_queue();
    struct packets packets = {0};
    assert_int_equal(queue_unconfirmed_each(queue, 100, see_packet, &packets), 0);
    assert_int_equal(packets.count, 2);
    assert_true(packets.digests[0] == replay_digest("b", "b", 1));
    assert_answer("SELECT confirmed_id FROM run ORDER BY id DESC LIMIT 1", "1"); /* the new run knows */
    queue_close(queue);
}

static void assert_saved(const char *id)
{
    assert_answer("SELECT confirmed_id FROM run ORDER BY id DESC LIMIT 1", id);
}

static void the_next_commit_saves_it_when_asked(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    queue_confirm(queue, 1);
    store_text(queue, "a", "2");
    assert_saved("0"); /* each save costs a page */
    queue_confirmed_save_with_commit(queue);
    assert_saved("0");
    store_text(queue, "a", "3");
    assert_saved("1");
    queue_confirm(queue, 2);
    store_text(queue, "a", "4");
    assert_saved("1"); /* it was asked once */
    queue_close(queue);
}

static void commits_save_it_after_many_messages(void **state)
{
    enum { MANY = 4096 };
    struct queue *queue = open_queue();
    struct message message = reading("a", "1", 1);
    assert_int_equal(queue_begin(queue), 0);
    for (int i = 0; i < MANY; i++)
        append(queue, &message);
    assert_int_equal(queue_commit(queue), 0);
    queue_confirm(queue, MANY - 1);
    store_text(queue, "a", "2");
    assert_saved("0");
    queue_confirm(queue, MANY);
    store_text(queue, "a", "3");
    assert_saved("4096");
    queue_close(queue);
}

static void count_packet(void *context, int64_t id, uint16_t packet_id, uint64_t digest)
{
    ++*(unsigned *)context;
}

static unsigned known(struct queue *queue)
{
    unsigned count = 0;
    assert_int_equal(queue_unconfirmed_each(queue, 65535, count_packet, &count), 0);
    return count;
}

static void confirm_then_step(struct queue *queue)
{
    queue->clock.epoch.synchronised = true;
    for (int i = 0; i < 10; i++)
        store_text(queue, "t", "1");
    queue_confirm(queue, 10);
    assert_int_equal(queue_confirmed_save(queue), 0);
    struct clock_epoch now = queue->clock.epoch;
    now.ms += 3600 * 1000;
    assert_int_equal(queue_clock_set(queue, &now), 0);
    assert_int_equal(queue_confirmed_save(queue), 0); /* as a reconnect does */
}

static void a_step_of_the_clock_keeps_the_confirmed_id(void **state)
{
    crash_after(confirm_then_step);
    struct queue *queue = open_queue();
    assert_int_equal(queue_confirmed_id(queue), 10);
    assert_int_equal(known(queue), 0);
    queue_close(queue);
}

static void confirm_and_wait(struct queue *queue)
{
    struct config_queue limits = {.max_size = INT64_C(1) << 40};
    queue_limit(queue, &limits);
    store_text(queue, "t", "its backend is away");
    queue_confirm(queue, 1);
    queue_upkeep(queue, true);
}

static void a_confirmed_message_that_waits_is_saved_as_confirmed(void **state)
{
    crash_after(confirm_and_wait);
    struct queue *queue = open_queue();
    assert_int_equal(known(queue), 0);
    queue_close(queue);
}

static void a_confirmed_dead_letter_stays_confirmed(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "t", "keep");
    int64_t id = store_text(queue, "t", "1");
    queue_confirm(queue, id);
    assert_int_equal(queue_dead_letter(queue, id, 10, 400, "rejected", "no", 1), 0);
    queue_close(queue);
    queue = open_queue();
    assert_int_equal(queue_confirmed_id(queue), id);
    assert_int_equal(known(queue), 0);
    queue_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(a_delivered_row_stays_until_it_is_confirmed),
        in_place(the_next_run_knows_the_confirmed_id),
        in_place(the_newest_packets_are_recognised_after_a_restart),
        in_place(a_released_message_is_recognised_until_it_is_confirmed),
        in_place(a_saved_confirmation_outlives_a_crash),
        in_place(the_next_commit_saves_it_when_asked),
        in_place(commits_save_it_after_many_messages),
        in_place(a_step_of_the_clock_keeps_the_confirmed_id),
        in_place(a_confirmed_message_that_waits_is_saved_as_confirmed),
        in_place(a_confirmed_dead_letter_stays_confirmed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
