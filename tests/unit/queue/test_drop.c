/* What limits drop, and what must stay. */
#include "queue/limits_place.h"

#include "db/vfs.h"
#include "queue/clock.h"

/* As an edge does it that drops: 0 when it was stored. */
static int offer(struct queue *queue, const char *text, size_t bytes)
{
    struct message message = reading("a", text, bytes);
    int error = queue_make_room(queue, bytes);
    if (error == 0)
        append(queue, &message);
    return error;
}

#define OLDEST .when_full = CONFIG_FULL_DROP_OLDEST

static void the_oldest_are_dropped_and_counted_by_the_commit(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 10, OLDEST});
    assert_int_equal(queue_begin(queue), 0);
    for (int i = 0; i < 25; i++)
        assert_int_equal(offer(queue, "12345", 5), 0);
    assert_answer("SELECT count(*) FROM dropped", "0");
    assert_int_equal(queue_commit(queue), 0);
    assert_answer("SELECT count(*), min(id), max(id) FROM message", "10|16|25");
    assert_answer("SELECT reason, route, messages, bytes, abs(since_ms / 1000 - unixepoch()) < 5,"
                  " last_ms >= since_ms FROM dropped",
                  "max_messages|sensor|15|75|1|1");
    assert_int_equal(queue_dropped(queue), 15);
    assert_null(queue_hold(queue));
    queue_close(queue);
}

static void a_rollback_drops_nothing(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 10, OLDEST});
    store_many(queue, 10, 5);
    assert_int_equal(queue_begin(queue), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(offer(queue, "12345", 5), 0);
    queue_rollback(queue);
    assert_answer("SELECT count(*), min(id) FROM message", "10|1");
    assert_answer("SELECT count(*) FROM dropped", "0");
    assert_int_equal(queue_dropped(queue), 0);
    assert_int_equal(queue_begin(queue), 0);
    assert_int_equal(offer(queue, "12345", 5), 0);
    assert_int_equal(queue_commit(queue), 0);
    assert_answer("SELECT count(*), min(id) FROM message", "10|2");
    queue_close(queue);
}

static void messages_in_flight_stay(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 5, OLDEST});
    store_many(queue, 5, 5);
    struct queue_claim one, batch;
    queue_claim(queue, &one, (const int64_t[]){1}, 1);
    const int64_t members[] = {3, 4};
    queue_claim(queue, &batch, members, ARRAY_LEN(members));
    assert_int_equal(queue_begin(queue), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(offer(queue, "12345", 5), 0);
    assert_int_equal(queue_commit(queue), 0);
    assert_answer("SELECT group_concat(id) FROM message", "1,3,4,8,9");
    queue_unclaim(queue, &batch);
    assert_int_equal(queue_begin(queue), 0);
    assert_int_equal(offer(queue, "12345", 5), 0);
    assert_int_equal(queue_commit(queue), 0);
    assert_answer("SELECT group_concat(id) FROM message", "1,4,8,9,10");
    queue_close(queue);
}

static void with_all_messages_in_flight_nothing_is_dropped(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 3, OLDEST});
    store_many(queue, 3, 5);
    struct queue_claim claim;
    queue_claim(queue, &claim, (const int64_t[]){1, 2, 3}, 3);
    assert_int_equal(queue_begin(queue), 0);
    assert_int_equal(offer(queue, "12345", 5), -ENOSPC);
    assert_string_equal(queue_full(queue), "max_messages");
    assert_int_equal(queue_count_dropped(queue, "max_messages", "sensor", 5), 0);
    assert_int_equal(queue_commit(queue), 0);
    assert_answer("SELECT group_concat(id) FROM message", "1,2,3");
    assert_answer("SELECT reason, messages FROM dropped", "max_messages|1");
    queue_close(queue);
}

/* They would be deleted anyway; to drop what waits for them would be a loss. */
static void delivered_messages_are_deleted_first_and_not_counted(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 10, OLDEST});
    store_many(queue, 10, 5);
    queue_confirm(queue, 8);
    queue_settle(queue, 8, true);
    queue_settle(queue, 9, true); /* delivered, and not confirmed */
    assert_int_equal(queue_begin(queue), 0);
    assert_int_equal(offer(queue, "12345", 5), 0);
    assert_int_equal(offer(queue, "12345", 5), 0);
    assert_int_equal(queue_commit(queue), 0);
    assert_answer("SELECT group_concat(id) FROM message", "1,2,3,4,5,6,7,10,11,12");
    assert_answer("SELECT count(*) FROM dropped", "0");
    assert_int_equal(queue_settled_count(queue), 0);
    assert_int_equal(queue_unconfirmed_count(queue), 0);
    queue_close(queue);
}

static void a_rollback_keeps_delivered_messages_settled(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 3, OLDEST});
    store_many(queue, 3, 5);
    queue_settle(queue, 2, true);
    assert_int_equal(queue_begin(queue), 0);
    assert_int_equal(offer(queue, "12345", 5), 0);
    queue_rollback(queue);
    assert_int_equal(queue_unconfirmed_count(queue), 1);
    assert_answer("SELECT group_concat(id) FROM message", "1,2,3");
    queue_close(queue);
}

/* A copy in a lane must not be sent after it was counted as dropped. */
static void copies_of_dropped_messages_are_stale(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 2, OLDEST});
    store_many(queue, 2, 5);
    cleanup_free struct queue_copy *copy = queue_copy(queue, 1);
    assert_non_null(copy);
    assert_int_equal(queue_begin(queue), 0);
    assert_int_equal(offer(queue, "12345", 5), 0);
    assert_int_equal(queue_commit(queue), 0);
    struct message message;
    assert_int_equal(queue_copied(queue, copy, &message), -ESTALE);
    assert_int_equal(queue_fetch(queue, 1, &message), -ENOENT);
    queue_close(queue);
}

/* 40 MiB through a queue of 16. */
static void dropping_keeps_the_size_within_its_limit(void **state)
{
    static const char payload[3000];
    struct queue *queue = open_limited((struct config_queue){.max_size = 16 * MIB, OLDEST});
    for (int batch = 0; batch < 40; batch++) {
        assert_int_equal(queue_begin(queue), 0);
        for (int i = 0; i < 350; i++)
            assert_int_equal(offer(queue, payload, sizeof payload), 0);
        assert_int_equal(queue_commit(queue), 0);
        assert_in_range(size_by_sql(), 0, 16 * MIB);
        assert_null(queue_hold(queue));
    }
    assert_answer("SELECT (SELECT count(*) FROM message) + (SELECT sum(messages) FROM dropped),"
                  " (SELECT max(id) FROM message), (SELECT max(id) - min(id) + 1 = count(*) FROM message),"
                  " (SELECT group_concat(reason) FROM dropped), (SELECT count(*) > 1500 FROM message)",
                  "14000|14000|1|max_size|1");
    queue_close(queue);
}

static void dead_letters_are_dropped_before_messages(void **state)
{
    static const char payload[50000];
    struct queue *queue = open_limited((struct config_queue){.max_size = 16 * MIB, OLDEST});
    int64_t id = 0;
    while (!queue_full(queue)) { /* faster than a daemon, which drops some before the queue is full */
        store_many(queue, 1, sizeof payload);
        assert_int_equal(queue_dead_letter(queue, ++id, 1, 400, "rejected", "x", clock_wall_ms()), 0);
    }
    store_many(queue, 1, sizeof payload);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(queue_begin(queue), 0);
        assert_int_equal(offer(queue, payload, sizeof payload), 0);
        assert_int_equal(queue_commit(queue), 0);
    }
    cleanup_free char *all = xasprintf("11|%lld|%lld", (long long)id + 1, (long long)id + 11);
    assert_answer("SELECT count(*), min(id), max(id) FROM message", all);
    assert_answer("SELECT min(id) > 1, (SELECT group_concat(reason) FROM dropped) FROM dead_letter",
                  "1|max_dead");
    assert_in_range(size_by_sql(), 0, 16 * MIB);
    queue_close(queue);
}

/* Nothing but counts: that is as durable as a message would be. */
static void counts_alone_are_committed_and_synced(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 1});
    uint64_t syncs = db_wear().syncs;
    assert_int_equal(queue_begin(queue), 0);
    assert_int_equal(queue_count_dropped(queue, "max_messages", NULL, 7), 0);
    assert_int_equal(queue_count_dropped(queue, "max_messages", "sensor", 8), 0);
    assert_int_equal(queue_commit(queue), 0);
    assert_true(db_wear().syncs > syncs);
    assert_answer("SELECT reason, route, messages, bytes FROM dropped",
                  "max_messages||1|7\nmax_messages|sensor|1|8");
    queue_close(queue);
}

static void a_lowered_limit_is_reached_in_steps(void **state)
{
    struct queue *queue = open_limited((struct config_queue){OLDEST});
    store_many(queue, 1700, 10);
    struct config_queue config = {.max_size = no_limits.max_size, .max_messages = 100, OLDEST};
    queue_limit(queue, &config);
    queue_upkeep(queue, false);
    assert_answer("SELECT count(*) FROM message", "1200");
    for (int i = 0; i < 5; i++)
        queue_upkeep(queue, false);
    assert_answer("SELECT count(*), min(id) FROM message", "100|1601");
    assert_answer("SELECT messages FROM dropped", "1600");
    queue_close(queue);
}

/* A `select` left open: nothing that is dropped would make the log smaller. */
static void a_reader_that_holds_the_log_costs_no_message(void **state)
{
    static const char payload[50000];
    struct queue *queue = open_limited((struct config_queue){.max_size = 16 * MIB, OLDEST});
    store_many(queue, 1, 10);
    sqlite3 *reader = look(SQLITE_OPEN_READONLY);
    execute(reader, "BEGIN; SELECT count(*) FROM message");
    int stored = 0;
    for (; !queue_hold(queue) && stored < 1000; stored++) {
        assert_int_equal(queue_begin(queue), 0);
        assert_int_equal(offer(queue, payload, sizeof payload), 0);
        assert_int_equal(queue_commit(queue), 0);
    }
    assert_string_equal(queue_hold(queue), "max_size");
    assert_in_range(size_by_sql(), 12 * MIB, 16 * MIB + 8 * MIB);
    sqlite3_close(reader);
    assert_answer("SELECT count(*) FROM dropped", "0");
    queue_close(queue);
}

static const struct config_queue one_hour = {.max_size = INT64_C(1) << 40, .max_age_ms = 3600 * 1000};

static void a_message_that_is_too_old_is_dropped(void **state)
{
    struct queue *queue = open_queue();
    store_many(queue, 6, 10);
    assert_int_equal(queue_dead_letter(queue, 1, 1, 400, "rejected", "x", clock_wall_ms()), 0);
    change("UPDATE message SET uptime_ms = uptime_ms - 3600 * 1000 - 1 WHERE id <= 4;"
           "UPDATE dead_letter SET uptime_ms = uptime_ms - 7200 * 1000");
    queue_limit(queue, &one_hour);
    struct queue_claim claim;
    queue_claim(queue, &claim, (const int64_t[]){2}, 1);
    queue_upkeep(queue, false);
    assert_answer("SELECT group_concat(id) FROM message", "2,5,6");
    assert_answer("SELECT group_concat(id) FROM dead_letter", "1");
    assert_answer("SELECT reason, route, messages, bytes FROM dropped", "max_age|sensor|2|20");
    queue_upkeep(queue, false);
    assert_answer("SELECT group_concat(id) FROM message", "2,5,6");
    queue_unclaim(queue, &claim);
    assert_answer("SELECT group_concat(id) FROM message", "5,6"); /* before it can be sent again */
    assert_answer("SELECT reason, messages FROM dropped", "max_age|3");
    queue_close(queue);
}

static void many_old_messages_are_dropped_in_steps(void **state)
{
    struct queue *queue = open_queue();
    store_many(queue, 1200, 10);
    change("UPDATE message SET uptime_ms = uptime_ms - 4000 * 1000");
    store_many(queue, 1, 10);
    queue_limit(queue, &one_hour);
    queue_upkeep(queue, false);
    assert_answer("SELECT count(*) FROM message", "701");
    queue_upkeep(queue, false);
    queue_upkeep(queue, false);
    assert_answer("SELECT count(*) FROM message", "1");
    assert_answer("SELECT messages FROM dropped", "1200");
    queue_close(queue);
}

static void a_delivered_message_is_not_counted_as_too_old(void **state)
{
    struct queue *queue = open_queue();
    store_many(queue, 2, 10);
    change("UPDATE message SET uptime_ms = uptime_ms - 4000 * 1000");
    queue_limit(queue, &one_hour);
    queue_settle(queue, 1, true);
    queue_upkeep(queue, false);
    assert_answer("SELECT sum(messages) FROM dropped", "1");
    queue_close(queue);
}

static char clock_file[96];

static void set_clock(const char *text)
{
    snprintf(clock_file, sizeof clock_file, "%s/clock", place.dir);
    put_file(clock_file, text, strlen(text));
    setenv("SLUICE_CLOCK", clock_file, 1);
}

static void forget_clock(void)
{
    unsetenv("SLUICE_CLOCK");
    unlink(clock_file);
}

/* Messages of another boot, two hours old by the wall clock; then the queue is
 * opened with this clock. Returns how many are left of 1. */
static void assert_left_of_another_boot(const char *was_synchronised, const char *clock, const char *left)
{
    set_clock(clock);
    struct queue *queue = open_queue();
    store_many(queue, 1, 10);
    queue_close(queue);
    cleanup_free char *sql =
        xasprintf("UPDATE run SET boot_id = 'another', synchronised = %s,"
                  " epoch_ms = (unixepoch() - 7200) * 1000 - (SELECT max(uptime_ms) FROM message)",
                  was_synchronised);
    change(sql);
    queue = open_limited(one_hour);
    store_many(queue, 1, 10);
    queue_upkeep(queue, false);
    queue_upkeep(queue, false);
    change("DELETE FROM message WHERE id = (SELECT max(id) FROM message)");
    assert_answer("SELECT count(*) FROM message", left);
    queue_close(queue);
    change("DELETE FROM message");
    forget_clock();
}

static void the_age_of_an_earlier_boot_needs_a_right_clock(void **state)
{
    assert_left_of_another_boot("1", "0 synchronised", "0");
    assert_left_of_another_boot("0", "0 synchronised", "1");
    assert_left_of_another_boot("1", "0 unsynchronised", "1");
    assert_left_of_another_boot("0", "0 unsynchronised", "1");
    /* A clock that went back makes nothing old. */
    assert_left_of_another_boot("1", "-86400000 synchronised", "1");
}

/* Rows of unknown age do not protect later rows. */
static void messages_after_one_of_unknown_age_are_dropped(void **state)
{
    set_clock("0 unsynchronised");
    struct queue *queue = open_queue();
    store_many(queue, 1200, 10);
    queue_close(queue);
    change("UPDATE run SET boot_id = 'another'");
    queue = open_queue();
    store_many(queue, 2, 10);
    change("UPDATE message SET uptime_ms = uptime_ms - 4000 * 1000 WHERE id = 1201");
    queue_limit(queue, &one_hour);
    for (int i = 0; i < 4; i++)
        queue_upkeep(queue, false);
    assert_answer("SELECT count(*), sum(id = 1201) FROM message", "1201|0");
    queue_close(queue);
    forget_clock();
}

/* A Pi boots with a wrong clock, and looks at its queue before NTP came. */
static void ages_are_checked_again_when_the_clock_is_right(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "t", "1");
    store_text(queue, "t", "2");
    queue_close(queue);
    sqlite3 *boot = look(SQLITE_OPEN_READWRITE);
    execute(boot, "UPDATE run SET boot_id = 'earlier', synchronised = 1, epoch_ms = 1000");
    sqlite3_close(boot);

    queue = open_queue();
    struct config_queue limits = {.max_size = INT64_C(1) << 40, .max_age_ms = 60000};
    queue_limit(queue, &limits);
    queue->clock.epoch = (struct clock_epoch){.ms = 1};
    boot = look(SQLITE_OPEN_READWRITE);
    execute(boot, "UPDATE run SET synchronised = 0 WHERE id = (SELECT max(id) FROM run)");
    sqlite3_close(boot);
    queue_upkeep(queue, true);
    assert_int_equal(queue_dropped(queue), 0);
    struct clock_epoch now = {.ms = clock_wall_ms() - clock_uptime_ms(), .synchronised = true};
    assert_int_equal(queue_clock_set(queue, &now), 0);
    for (int i = 0; i < 5; i++)
        queue_upkeep(queue, true);
    assert_int_equal(queue_dropped(queue), 2);
    queue_close(queue);
}

/* Twenty rows, ten of them delivered, and a limit that leaves room for fifteen. */
static void nothing_is_dropped_if_delivered_messages_make_room(void **state)
{
    for (int first = 1; first <= 11; first += 10) {
        struct queue *queue = open_queue();
        int64_t start = 0;
        for (int i = 0; i < 20; i++) {
            int64_t id = store_text(queue, "t", "1");
            start = i == 0 ? id : start;
        }
        for (int i = 0; i < 10; i++)
            queue_settle(queue, start + first - 1 + i, true);
        struct config_queue limits = {
            .max_size = INT64_C(1) << 40, .max_messages = 15, .when_full = CONFIG_FULL_DROP_OLDEST};
        queue_limit(queue, &limits);
        queue_upkeep(queue, true);
        assert_int_equal(queue_dropped(queue), 0);
        assert_answer("SELECT count(*) FROM message", "10");
        queue_close(queue);
        sqlite3 *empty = look(SQLITE_OPEN_READWRITE);
        execute(empty, "DELETE FROM message");
        sqlite3_close(empty);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(the_oldest_are_dropped_and_counted_by_the_commit),
        in_place(a_rollback_drops_nothing),
        in_place(messages_in_flight_stay),
        in_place(with_all_messages_in_flight_nothing_is_dropped),
        in_place(delivered_messages_are_deleted_first_and_not_counted),
        in_place(a_rollback_keeps_delivered_messages_settled),
        in_place(copies_of_dropped_messages_are_stale),
        in_place(dropping_keeps_the_size_within_its_limit),
        in_place(dead_letters_are_dropped_before_messages),
        in_place(counts_alone_are_committed_and_synced),
        in_place(a_lowered_limit_is_reached_in_steps),
        in_place(a_reader_that_holds_the_log_costs_no_message),
        in_place(a_message_that_is_too_old_is_dropped),
        in_place(many_old_messages_are_dropped_in_steps),
        in_place(a_delivered_message_is_not_counted_as_too_old),
        in_place(the_age_of_an_earlier_boot_needs_a_right_clock),
        in_place(messages_after_one_of_unknown_age_are_dropped),
        in_place(ages_are_checked_again_when_the_clock_is_right),
        in_place(nothing_is_dropped_if_delivered_messages_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
