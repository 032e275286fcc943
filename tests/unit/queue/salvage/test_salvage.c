/* A damaged queue, as the daemon sees it: the damage is found, the queue is salvaged, and it
 * can be used as before. */
#include "salvage_place.h"

#include "queue/salvage/tables.h"

enum { FUZZ_OPENS = 150 };

/* ---- what is kept ---- */

static void a_sound_database_is_copied_unchanged(void **state)
{
    put_template();
    cleanup_free char *runs = ask("SELECT id, token, boot_id, epoch_ms, synchronised, confirmed_id FROM run");
    cleanup_free char *subscriptions = ask("SELECT * FROM subscription");
    cleanup_free char *sessions = ask("SELECT * FROM session");
    cleanup_free char *devices = ask("SELECT * FROM device_state");
    salvage();
    assert_int_equal(lost_rows(), 0);
    assert_answer("SELECT id, token, boot_id, epoch_ms, synchronised, confirmed_id FROM run", runs);
    assert_answer("SELECT * FROM subscription", subscriptions);
    assert_answer("SELECT * FROM session", sessions);
    assert_answer("SELECT * FROM device_state", devices);
    assert_answer("SELECT acknowledged, stored FROM device", "3|3");
    assert_answer("PRAGMA integrity_check", "ok");
    assert_answer("PRAGMA auto_vacuum", "2");
    struct queue *queue = open_queue();
    store_text(queue, "new", "1");
    queue_close(queue);
    assert_answer("SELECT id FROM message WHERE topic = 'new'", "401");
    assert_int_equal(count_files("queue.db.damaged-", false), 1);
    assert_int_equal(count_files("queue.db.salvage", false), 0);
}

static void counters_and_problems_are_kept(void **state)
{
    put_template();
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    execute(handle, "INSERT INTO dropped VALUES ('max_age', 'sensor', 3, 400, 5, 6)");
    execute(handle, "INSERT INTO problem VALUES ('full', 7, 'max_size')");
    sqlite3_close(handle);
    salvage();
    assert_answer("SELECT * FROM dropped", "max_age|sensor|3|400|5|6");
    assert_answer("SELECT * FROM problem", "full|7|max_size");
}

static bool is_known(const char *name)
{
    for (int i = 0; i < TABLES; i++)
        if (strcmp(table_facts[i].name, name) == 0)
            return true;
    return false;
}

/* The pages of another table would count as lost. */
static void every_table_is_known(void **state)
{
    put_template();
    sqlite3 *handle = look(SQLITE_OPEN_READONLY);
    sqlite3_stmt *row = NULL;
    const char sql[] = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &row, NULL), SQLITE_OK);
    unsigned count = 0;
    for (; sqlite3_step(row) == SQLITE_ROW; count++)
        if (!is_known((const char *)sqlite3_column_text(row, 0)))
            fail_msg("queue/salvage/tables.c does not know the table %s", sqlite3_column_text(row, 0));
    sqlite3_finalize(row);
    sqlite3_close(handle);
    assert_true(count > 10);
}

/* Its dead letters become messages again when the route is no longer held. */
static void a_held_route_stays_held(void **state)
{
    put_template();
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    execute(handle, "INSERT INTO held VALUES (400, 'sensor')");
    sqlite3_close(handle);
    salvage();
    assert_answer("SELECT * FROM held", "400|sensor");
}

/* As in a database that is older than the last columns of a table: SQLite does not rewrite
 * the rows when it adds one. */
static void a_row_with_fewer_columns_gets_the_defaults(void **state)
{
    put_template();
    cleanup_free char *runs = ask("SELECT id, token, boot_id, epoch_ms, synchronised, confirmed_id FROM run");
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    execute(handle,
            "CREATE TABLE kept AS SELECT * FROM run; DROP TABLE run;"
            "CREATE TABLE run (id INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, boot_id TEXT NOT NULL,"
            " epoch_ms INTEGER NOT NULL, synchronised INTEGER NOT NULL,"
            " confirmed_id INTEGER NOT NULL DEFAULT 0) STRICT;"
            "INSERT INTO run SELECT id, token, boot_id, epoch_ms, synchronised, confirmed_id FROM kept;"
            "DROP TABLE kept");
    sqlite3_close(handle);
    salvage();
    assert_int_equal(lost_rows(), 0);
    assert_answer("SELECT id, token, boot_id, epoch_ms, synchronised, confirmed_id FROM run", runs);
    assert_answer("SELECT drained_ms, away_since_ms FROM run", "-|-");
    queue_close(open_queue());
}

/* ---- how damage is found ---- */

static void a_small_database_is_checked_after_a_crash(void **state)
{
    store_and_die(1, 300);
    queue_close(open_queue()); /* a checkpoint */
    store_and_die(301, 301);
    read_wal();
    put_file(place.path, file_bytes, get_file(place.path, file_bytes, FILE_MOST));
    int leaf = 0;
    sqlite3 *handle = look(SQLITE_OPEN_READONLY);
    cleanup_free char *page =
        ask_with(handle, "SELECT pageno FROM dbstat WHERE name = 'message' AND pagetype = 'leaf'"
                         " ORDER BY pageno LIMIT 1 OFFSET 2");
    sqlite3_close(handle);
    leaf = (int)strtol(page, NULL, 10);
    assert_true(leaf > 2);
    size_t bytes = get_file(place.path, file_bytes, FILE_MOST);
    memset(file_bytes + (size_t)(leaf - 1) * PAGE_BYTES, 0, PAGE_BYTES);
    put_file(place.path, file_bytes, bytes);
    queue_close(open_queue());
    assert_int_equal(count_files("queue.db.damaged-", false), 1);
}

/* ---- any damage ---- */

static void ignore(void *context, int64_t id, const char *route, const char *topic, bool deferred)
{
    (*(int64_t *)context)++;
    assert_non_null(route);
    assert_non_null(topic);
    assert_true(id > 0);
}

static void ignore_packet(void *context, int64_t id, uint16_t packet_id, uint64_t digest)
{
}

/* Everything that the daemon does with a queue. */
static void use(struct queue *queue)
{
    int64_t after = 0, visited = 0;
    struct message message;
    queue_unconfirmed_each(queue, 1000, ignore_packet, NULL);
    for (int i = 0; i < 100; i++)
        if (queue_scan(queue, after, INT64_MAX, 10, ignore, &visited) <= 0)
            break;
        else
            after += 10;
    for (int64_t id = 1; id <= ROWS; id++) {
        if (queue_fetch(queue, id, &message) != 0)
            continue;
        assert_non_null(message.route);
        assert_non_null(message.topic);
        queue_fetch_done(queue);
        if (id % 3 == 0)
            confirm_and_settle(queue, id);
        if (id % 50 == 1)
            queue_dead_letter(queue, id, 1, 400, "rejected", "x", 0);
    }
    if (queue_begin(queue) == 0) {
        int64_t id;
        message = reading("new", "1", 1);
        if (queue_append(queue, &message, &id) == 0)
            queue_commit(queue);
        else
            queue_rollback(queue);
    }
    if (queue_settled_count(queue) > 0)
        queue_settle_commit(queue, SIZE_MAX);
}

static void random_flips_never_stop_the_queue(void **state)
{
    static uint8_t kept[FILE_MOST];
    memcpy(kept, file_bytes, file_size);
    unsigned found = 0, salvaged = 0;
    for (unsigned seed = 1; seed <= test_cases(FUZZ_OPENS); seed++) {
        random_state = seed * 7919;
        flip(file_bytes, file_size);
        put_template();
        memcpy(file_bytes, kept, file_size);
        struct queue *queue;
        char *why = NULL;
        int error = queue_open(place.path, &queue, &why);
        if (error == -EPROTONOSUPPORT || error == -EEXIST) { /* the version or the tables' names were hit */
            free(why);
            continue;
        }
        if (error != 0)
            fail_msg("seed %u: %s", seed, why);
        unsigned before = count_files("queue.db.damaged-", false);
        use(queue);
        if (queue_is_damaged(queue)) {
            found++;
            if (queue_reopen(queue, &why) != 0)
                fail_msg("seed %u: %s", seed, why);
            assert_false(queue_is_damaged(queue));
            use(queue);
            assert_false(queue_is_damaged(queue));
        }
        salvaged += before > 0;
        queue_close(queue);
        if (count_files("queue.db.damaged-", false) > 0)
            assert_answer("PRAGMA quick_check", "ok");
    }
    assert_true(found > test_cases(10) && salvaged > test_cases(10)); /* found at start, and later */
}

static void flips_in_the_log_never_crash_the_salvage(void **state)
{
    store_and_die(1, 30);
    read_wal();
    static uint8_t kept[FILE_MOST];
    memcpy(kept, wal_bytes, wal_size);
    size_t whole = wal_size, database = get_file(place.path, file_bytes, FILE_MOST);
    for (unsigned seed = 1; seed <= test_cases(FUZZ_OPENS); seed++) {
        random_state = seed;
        flip(wal_bytes, wal_size);
        empty_place();
        put_file(place.path, file_bytes, database);
        write_wal();
        memcpy(wal_bytes, kept, whole);
        struct queue *queue = open_queue();
        use(queue);
        queue_close(queue);
    }
    put_template();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_fast_place(a_sound_database_is_copied_unchanged),
        in_fast_place(counters_and_problems_are_kept),
        in_fast_place(every_table_is_known),
        in_fast_place(a_held_route_stays_held),
        in_fast_place(a_row_with_fewer_columns_gets_the_defaults),
        in_fast_place(a_small_database_is_checked_after_a_crash),
        in_fast_place(random_flips_never_stop_the_queue),
        in_fast_place(flips_in_the_log_never_crash_the_salvage),
    };
    return cmocka_run_group_tests(tests, make_template, free_template);
}
