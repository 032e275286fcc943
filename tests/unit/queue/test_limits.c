/* When the queue is full, what goes then, and what must stay. */
#include "queue/queue_place.h"

#include "db/vfs.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define MIB INT64_C(1048576)

static const struct config_queue no_limits = {.max_size = INT64_C(1) << 40};

static struct queue *open_limited(struct config_queue config)
{
    struct queue *queue = open_queue();
    if (config.max_size == 0)
        config.max_size = no_limits.max_size;
    queue_limit(queue, &config);
    return queue;
}

static void assert_full(struct queue *queue, const char *limit)
{
    const char *full = queue_full(queue);
    if (!limit ? full != NULL : !full || strcmp(full, limit) != 0)
        fail_msg("full: %s, not %s", full ? full : "-", limit ? limit : "-");
}

static void store_many(struct queue *queue, int count, size_t bytes)
{
    cleanup_free char *payload = xcalloc(1, bytes + 1);
    struct message message = reading("a", payload, bytes);
    assert_int_equal(queue_begin(queue), 0);
    for (int i = 0; i < count; i++)
        append(queue, &message);
    assert_int_equal(queue_commit(queue), 0);
}

/* As an edge does it that drops: 0 when it was stored. */
static int offer(struct queue *queue, const char *text, size_t bytes)
{
    struct message message = reading("a", text, bytes);
    int error = queue_make_room(queue, bytes);
    if (error == 0)
        append(queue, &message);
    return error;
}

static void deliver(struct queue *queue, int64_t first, int64_t last)
{
    for (int64_t id = first; id <= last; id++)
        confirm_and_settle(queue, id);
    assert_int_equal(queue_settle_commit(queue, SIZE_MAX), 0);
}

static void by_hand(const char *sql)
{
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    execute(handle, sql);
    sqlite3_close(handle);
}

static int64_t file_bytes(const char *suffix)
{
    cleanup_free char *path = xasprintf("%s%s", place.path, suffix);
    struct stat file;
    return stat(path, &file) == 0 ? (int64_t)file.st_size : 0;
}

/* As the limit is meant: pages in use, and the log. */
static int64_t size_by_hand(void)
{
    sqlite3 *handle = look(SQLITE_OPEN_READONLY);
    cleanup_free char *pages =
        ask_with(handle, "SELECT (page_count - freelist_count) * page_size FROM"
                         " pragma_page_count, pragma_freelist_count, pragma_page_size");
    sqlite3_close(handle);
    return strtoll(pages, NULL, 10) + file_bytes("-wal");
}

/* ---- max_messages ---- */

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
static void once_full_it_takes_some_room(void **state)
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

static void it_is_full_within_a_transaction_too(void **state)
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

static void limits_may_change(void **state)
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

static const char many_rows[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)"
    " INSERT INTO message (id, run, route, topic, uptime_ms, packet_id, payload)"
    " SELECT 2 * i, (SELECT max(id) FROM run), 'sensor', 'a', 0, 1, x'00' FROM n";

/* While it is counted, rows come and go on both sides of where the count is. */
static void a_long_queue_is_counted_in_steps_and_exactly(void **state)
{
    queue_close(open_queue());
    by_hand(many_rows);
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
static void what_another_process_changes_is_counted_again(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_messages = 10});
    store_many(queue, 10, 1);
    assert_full(queue, "max_messages");
    by_hand("DELETE FROM message WHERE id <= 7");
    queue_upkeep(queue, false);
    assert_full(queue, NULL);
    store_many(queue, 6, 1);
    assert_full(queue, NULL);
    store_many(queue, 1, 1);
    assert_full(queue, "max_messages");
    queue_close(queue);
}

/* ---- max_size and min_free ---- */

static void the_size_is_limited_with_the_log_in_it(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.max_size = 16 * MIB});
    int stored = 0;
    for (; !queue_full(queue); stored++)
        store_many(queue, 1, 50000);
    assert_full(queue, "max_size");
    assert_true(file_bytes("-wal") > 3 * MIB);
    int64_t size = size_by_hand();
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
        assert_in_range(size_by_hand(), 0, 32 * MIB);
    }
    assert_in_range(size_by_hand(), 28 * MIB, 32 * MIB);
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

static void a_disk_that_others_fill_is_full(void **state)
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

/* ---- dropping ---- */

#define OLDEST .when_full = CONFIG_FULL_DROP_OLDEST

static void the_oldest_go_and_are_counted_with_the_commit(void **state)
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

static void what_is_under_way_stays(void **state)
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

static void with_all_under_way_nothing_can_go(void **state)
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
static void what_was_delivered_goes_first_and_is_not_counted(void **state)
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

static void a_rollback_keeps_what_was_delivered_in_mind(void **state)
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
static void copies_of_what_was_dropped_are_stale(void **state)
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
static void the_size_holds_by_dropping(void **state)
{
    static const char payload[3000];
    struct queue *queue = open_limited((struct config_queue){.max_size = 16 * MIB, OLDEST});
    for (int batch = 0; batch < 40; batch++) {
        assert_int_equal(queue_begin(queue), 0);
        for (int i = 0; i < 350; i++)
            assert_int_equal(offer(queue, payload, sizeof payload), 0);
        assert_int_equal(queue_commit(queue), 0);
        assert_in_range(size_by_hand(), 0, 16 * MIB);
        assert_null(queue_hold(queue));
    }
    assert_answer("SELECT (SELECT count(*) FROM message) + (SELECT sum(messages) FROM dropped),"
                  " (SELECT max(id) FROM message), (SELECT max(id) - min(id) + 1 = count(*) FROM message),"
                  " (SELECT group_concat(reason) FROM dropped), (SELECT count(*) > 1500 FROM message)",
                  "14000|14000|1|max_size|1");
    queue_close(queue);
}

static void dead_letters_go_when_nothing_waits(void **state)
{
    static const char payload[50000];
    struct queue *queue = open_limited((struct config_queue){.max_size = 16 * MIB, OLDEST});
    int64_t id = 0;
    while (!queue_full(queue)) {
        store_many(queue, 1, sizeof payload);
        assert_int_equal(queue_dead_letter(queue, ++id, 1, 400, "rejected", "x", clock_wall_ms()), 0);
    }
    store_many(queue, 1, sizeof payload);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(queue_begin(queue), 0);
        assert_int_equal(offer(queue, payload, sizeof payload), 0);
        assert_int_equal(queue_commit(queue), 0);
    }
    cleanup_free char *newest = xasprintf("1|%lld", (long long)id + 11);
    assert_answer("SELECT count(*) > 0, max(id) FROM message", newest);
    assert_answer("SELECT min(id) > 1 FROM dead_letter", "1");
    assert_in_range(size_by_hand(), 0, 16 * MIB);
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
    assert_in_range(size_by_hand(), 12 * MIB, 16 * MIB + 8 * MIB);
    sqlite3_close(reader);
    assert_answer("SELECT count(*) FROM dropped", "0");
    queue_close(queue);
}

/* ---- max_age ---- */

static const struct config_queue one_hour = {.max_size = INT64_C(1) << 40, .max_age_ms = 3600 * 1000};

static void what_is_too_old_goes(void **state)
{
    struct queue *queue = open_queue();
    store_many(queue, 6, 10);
    assert_int_equal(queue_dead_letter(queue, 1, 1, 400, "rejected", "x", clock_wall_ms()), 0);
    by_hand("UPDATE message SET uptime_ms = uptime_ms - 3600 * 1000 - 1 WHERE id <= 4;"
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

static void many_that_are_too_old_go_in_steps(void **state)
{
    struct queue *queue = open_queue();
    store_many(queue, 1200, 10);
    by_hand("UPDATE message SET uptime_ms = uptime_ms - 4000 * 1000");
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

static void what_was_delivered_is_not_counted_as_too_old(void **state)
{
    struct queue *queue = open_queue();
    store_many(queue, 2, 10);
    by_hand("UPDATE message SET uptime_ms = uptime_ms - 4000 * 1000");
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
    by_hand(sql);
    queue = open_limited(one_hour);
    store_many(queue, 1, 10);
    queue_upkeep(queue, false);
    queue_upkeep(queue, false);
    by_hand("DELETE FROM message WHERE id = (SELECT max(id) FROM message)");
    assert_answer("SELECT count(*) FROM message", left);
    queue_close(queue);
    by_hand("DELETE FROM message");
    forget_clock();
}

static void an_earlier_boot_counts_only_by_clocks_that_were_right(void **state)
{
    assert_left_of_another_boot("1", "0 synchronised", "0");
    assert_left_of_another_boot("0", "0 synchronised", "1");
    assert_left_of_another_boot("1", "0 unsynchronised", "1");
    assert_left_of_another_boot("0", "0 unsynchronised", "1");
    /* A clock that went back makes nothing old. */
    assert_left_of_another_boot("1", "-86400000 synchronised", "1");
}

/* Rows whose age is not known do not keep those behind them for ever. */
static void behind_an_unknown_age_there_may_be_a_known_one(void **state)
{
    set_clock("0 unsynchronised");
    struct queue *queue = open_queue();
    store_many(queue, 1200, 10);
    queue_close(queue);
    by_hand("UPDATE run SET boot_id = 'another'");
    queue = open_queue();
    store_many(queue, 2, 10);
    by_hand("UPDATE message SET uptime_ms = uptime_ms - 4000 * 1000 WHERE id = 1201");
    queue_limit(queue, &one_hour);
    for (int i = 0; i < 4; i++)
        queue_upkeep(queue, false);
    assert_answer("SELECT count(*), sum(id = 1201) FROM message", "1201|0");
    queue_close(queue);
    forget_clock();
}

/* ---- space given back ---- */

static void upkeep(struct queue *queue, int times)
{
    for (int i = 0; i < times; i++)
        queue_upkeep(queue, true);
}

static void a_queue_that_shrank_gives_its_space_back(void **state)
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

static void a_queue_that_breathes_is_left_alone(void **state)
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

static void the_reserve_is_made_in_the_background(void **state)
{
    struct queue *queue = open_limited(no_limits);
    assert_int_equal(file_bytes("-reserve"), 0);
    upkeep(queue, 20);
    assert_int_equal(file_bytes("-reserve"), 8 * MIB);
    assert_full(queue, NULL);
    queue_close(queue);
    assert_int_equal(file_bytes("-reserve"), 8 * MIB);
}

static void it_is_not_made_of_what_must_stay_free(void **state)
{
    struct queue *queue = open_limited((struct config_queue){.min_free = INT64_C(1) << 60});
    upkeep(queue, 20);
    assert_int_equal(file_bytes("-reserve"), 0);
    queue_close(queue);
}

/* ---- storage that fails, trouble ---- */

static void with_storage_that_fails_it_is_full(void **state)
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

static void a_lock_is_no_failure(void **state)
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

static void trouble_is_written_when_it_changes(void **state)
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

static void a_crash_leaves_no_old_trouble(void **state)
{
    struct queue *queue = open_queue();
    queue_close(queue);
    by_hand("INSERT INTO problem VALUES ('reader', 1, 'long ago')");
    queue = open_queue();
    assert_answer("SELECT count(*) FROM problem", "0");
    queue_close(queue);
}

static void a_full_queue_is_a_trouble(void **state)
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
        in_place(without_limits_nothing_is_full),
        in_place(messages_are_limited_exactly),
        in_place(once_full_it_takes_some_room),
        in_place(it_is_full_within_a_transaction_too),
        in_place(dead_letters_are_no_waiting_messages),
        in_place(limits_may_change),
        in_place(a_long_queue_is_counted_in_steps_and_exactly),
        in_place(what_another_process_changes_is_counted_again),
        in_place(the_size_is_limited_with_the_log_in_it),
        in_place(one_transaction_stays_within_the_size),
        in_place(dead_letters_take_space),
        in_place(a_disk_that_others_fill_is_full),
        in_place(the_oldest_go_and_are_counted_with_the_commit),
        in_place(a_rollback_drops_nothing),
        in_place(what_is_under_way_stays),
        in_place(with_all_under_way_nothing_can_go),
        in_place(what_was_delivered_goes_first_and_is_not_counted),
        in_place(a_rollback_keeps_what_was_delivered_in_mind),
        in_place(copies_of_what_was_dropped_are_stale),
        in_place(the_size_holds_by_dropping),
        in_place(dead_letters_go_when_nothing_waits),
        in_place(counts_alone_are_committed_and_synced),
        in_place(a_lowered_limit_is_reached_in_steps),
        in_place(a_reader_that_holds_the_log_costs_no_message),
        in_place(what_is_too_old_goes),
        in_place(many_that_are_too_old_go_in_steps),
        in_place(what_was_delivered_is_not_counted_as_too_old),
        in_place(an_earlier_boot_counts_only_by_clocks_that_were_right),
        in_place(behind_an_unknown_age_there_may_be_a_known_one),
        in_place(a_queue_that_shrank_gives_its_space_back),
        in_place(a_queue_that_breathes_is_left_alone),
        in_place(the_reserve_is_made_in_the_background),
        in_place(it_is_not_made_of_what_must_stay_free),
        in_place(with_storage_that_fails_it_is_full),
        in_place(a_lock_is_no_failure),
        in_place(trouble_is_written_when_it_changes),
        in_place(a_crash_leaves_no_old_trouble),
        in_place(a_full_queue_is_a_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
