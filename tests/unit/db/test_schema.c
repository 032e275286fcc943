/* The views of the schema, which are for people, and migrations to newer schemas. */
#include "queue/queue_place.h"

#include "db/db.h"
#include "db/schema.h"

#include <time.h>

static void the_columns_of_the_views(void **state)
{
    queue_close(open_queue());
    assert_answer("SELECT group_concat(name, ' ') FROM pragma_table_info('pending')",
                  "id received route topic payload bytes state attempts last_status last_error target "
                  "idempotency_key");
    assert_answer("SELECT group_concat(name, ' ') FROM pragma_table_info('dead')",
                  "id received died route topic reason last_status last_error attempts payload bytes target "
                  "idempotency_key");
    assert_answer("SELECT group_concat(name, ' ') FROM pragma_table_info('summary')",
                  "route waiting deferred oldest_waiting dead dropped problem");
}

/* What payload the view shows; `shown` must be good UTF-8 without controls. */
static void assert_shown(const char *payload, size_t bytes, const char *shown)
{
    struct queue *queue = open_queue();
    struct message message = reading("a", payload, bytes);
    int64_t id = store(queue, &message);
    cleanup_free char *expected = xasprintf("%s|%zu", shown, bytes);
    assert_answer("SELECT payload, bytes FROM pending", expected);
    assert_int_equal(queue_dead_letter(queue, id, 1, 400, "rejected", "x", clock_wall_ms()), 0);
    assert_answer("SELECT payload, bytes FROM dead", expected);
    queue_close(queue);
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    execute(handle, "DELETE FROM dead_letter");
    sqlite3_close(handle);
}

static void payloads_are_shown_readable(void **state)
{
    char long_text[301], cut[201];
    memset(long_text, 'y', 300);
    memset(cut, 'y', 200);
    long_text[300] = cut[200] = '\0';
    char bad_at_end[301], bad_at_199[301], bad_shown[204];
    memcpy(bad_at_end, long_text, 301);
    memcpy(bad_at_199, long_text, 301);
    bad_at_end[299] = bad_at_199[199] = '\x01';
    snprintf(bad_shown, sizeof bad_shown, "%.199s\\x01", cut);
    assert_shown("{\"a\": 1}", 8, "{\"a\": 1}");
    assert_shown("21 \xc2\xb0\x43 \xe2\x82\xac", 10, "21 \xc2\xb0\x43 \xe2\x82\xac");
    assert_shown("", 0, "");
    assert_shown(long_text, 300, cut);
    assert_shown("a\0b", 3, "x'610062'");
    assert_shown("\x1b[2J", 4, "\\x1b[2J");
    assert_shown("\x1b[2", 3, "x'1B5B32'");
    assert_shown("a text\n\tand \0 \x7f \xc2\x9b", 18, "a text\n\tand \\x00 \\x7f \\xc2\\x9b");
    assert_shown(bad_at_end, 300, cut);
    assert_shown(bad_at_199, 300, bad_shown);
    assert_shown("\xff\xfe", 2, "x'FFFE'");
    assert_shown("caf\xe9", 4, "caf\\xe9");
    assert_shown("]-^", 3, "]-^");
}

/* A continuation byte alone, as Latin-1 has it for a degree sign: SQLite's own
 * functions take it for a character. */
static void latin1_is_shown_with_escapes(void **state)
{
    assert_shown("21\xb0\x43", 4,
                 "21\\xb0"
                 "C");
}

static void the_time_of_receipt_is_local_and_readable(void **state)
{
    setenv("TZ", "UTC-3", 1);
    tzset();
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    cleanup_free char *text =
        ask("SELECT abs(julianday(substr(received, 1, 19)) - julianday('now', 'localtime')) < 5.0/86400,"
            " abs(julianday('now', 'localtime') - julianday('now') - 3.0/24) < 5.0/86400,"
            " length(received) IN (19, 21) FROM pending");
    assert_string_equal(text, "1|1|1");
    queue_close(queue);
    unsetenv("TZ");
    tzset();
}

static void a_time_that_is_not_certain_is_marked(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    queue_close(queue);
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    execute(handle, "UPDATE run SET synchronised = 0");
    assert_answer("SELECT received LIKE '____-__-__ __:__:__ ?' FROM pending", "1");
    execute(handle, "UPDATE run SET synchronised = 1");
    assert_answer("SELECT received LIKE '____-__-__ __:__:__' FROM pending", "1");
    sqlite3_close(handle);
}

static void queries_in_targets_are_masked(void **state)
{
    struct queue *queue = open_queue();
    struct message message = reading("/api/x", "1", 1);
    message.source = "http";
    message.method = "POST";
    message.target = "/api/x?user_key=secret&a=?";
    int64_t id = store(queue, &message);
    assert_answer("SELECT target FROM pending", "/api/x?***");
    assert_int_equal(queue_dead_letter(queue, id, 1, 400, "rejected", "x", clock_wall_ms()), 0);
    assert_answer("SELECT target FROM dead", "/api/x?***");
    message.target = "/api/x";
    store(queue, &message);
    assert_answer("SELECT target FROM pending", "/api/x");
    queue_close(queue);
}

static void the_summary_counts_by_route(void **state)
{
    struct queue *queue = open_queue();
    struct message message = reading("a", "1", 1);
    store(queue, &message);
    int64_t dead = store(queue, &message);
    message.route = "heartbeat";
    int64_t deferred = store(queue, &message);
    store(queue, &message);
    assert_int_equal(queue_dead_letter(queue, dead, 1, 400, "rejected", "x", clock_wall_ms()), 0);
    assert_int_equal(queue_blame(queue, deferred, 2, 500, "500: oops", clock_wall_ms()), 0);
    assert_int_equal(queue_defer(queue, deferred), 0);
    assert_answer(
        "SELECT route, waiting, deferred, dead, oldest_waiting LIKE '____-__-__ __:__:__%' FROM summary",
        "heartbeat|2|1|0|1\nsensor|1|0|1|1");
    queue_close(queue);
}

static void a_pending_message_waits_or_is_deferred(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    int64_t deferred = store_text(queue, "a", "2");
    assert_int_equal(queue_blame(queue, deferred, 2, 500, "500: oops", clock_wall_ms()), 0);
    assert_int_equal(queue_defer(queue, deferred), 0);
    assert_answer("SELECT id, state, attempts, last_error FROM pending",
                  "1|waiting|0|-\n2|deferred|2|500: oops");
    queue_close(queue);
}

static void the_summary_shows_drops_and_problems(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    assert_int_equal(queue_begin(queue), 0);
    assert_int_equal(queue_count_dropped(queue, "max_age", "old", 10), 0);
    assert_int_equal(queue_count_dropped(queue, "max_size", "old", 20), 0);
    assert_int_equal(queue_count_dropped(queue, "max_size", "sensor", 5), 0);
    assert_int_equal(queue_commit(queue), 0);
    queue_problem_set(queue, "reader", "sqlite3 (4711) keeps the log growing: end it");
    queue_upkeep(queue, true);
    assert_answer(
        "SELECT route, waiting, deferred, dead, dropped, problem FROM summary WHERE problem IS NULL",
        "old|0|0|0|2|-\nsensor|1|0|0|1|-");
    assert_answer("SELECT route, problem LIKE 'reader, since ____-__-__ __:__:__: sqlite3 (4711) keeps%'"
                  " FROM summary WHERE problem IS NOT NULL",
                  "-|1");
    queue_problem_set(queue, "reader", NULL);
    queue_upkeep(queue, true);
    assert_answer("SELECT count(*) FROM summary WHERE problem IS NOT NULL", "0");
    queue_close(queue);
}

/* ---- migrations ---- */

/* A queue with one message, as an older sluice leaves it. */
static struct db open_older(void)
{
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    queue_close(queue);
    struct db db;
    char *why = NULL;
    assert_int_equal(db_open(place.path, DB_TRUSTED, &db, &why), 0);
    return db;
}

static void a_migration_brings_an_older_database_up_to_date(void **state)
{
    const struct schema_migration newer[] = {
        schema_migrations[0],
        {2, "002", "ALTER TABLE message ADD COLUMN extra TEXT; UPDATE message SET extra = 'x'"},
        {3, "003", "CREATE TABLE later (n INTEGER) STRICT"},
    };
    struct db db = open_older();
    for (int times = 0; times < 2; times++) /* the second time does nothing */
        assert_int_equal(schema_migrate(&db, NULL, newer, ARRAY_LEN(newer)), 0);
    db_close(&db);
    assert_answer("PRAGMA user_version", "3");
    assert_answer("SELECT topic, extra FROM message", "a|x");
    assert_answer("SELECT count(*) FROM later", "0");
    assert_answer("PRAGMA integrity_check", "ok");
}

static void a_migration_that_fails_changes_nothing(void **state)
{
    const struct schema_migration newer[] = {
        schema_migrations[0],
        {2, "002", "CREATE TABLE later (n INTEGER) STRICT"},
        {3, "003", "CREATE TABLE never (n INTEGER) STRICT; UPDATE missing SET n = 1"},
    };
    struct db db = open_older();
    assert_int_not_equal(schema_migrate(&db, NULL, newer, ARRAY_LEN(newer)), 0);
    db_close(&db);
    assert_answer("PRAGMA user_version", "2");
    assert_answer("SELECT name FROM sqlite_schema WHERE name IN ('later', 'never')", "later");
    assert_answer("SELECT topic FROM message", "a");
}

static void assert_other_version(int version, int newest, const char *text)
{
    char *why = NULL;
    assert_int_equal(schema_check("queue.db", version, newest, &why), -EPROTONOSUPPORT);
    assert_non_null(strstr(why, text));
    free(why);
}

static void a_command_works_with_its_own_version_only(void **state)
{
    assert_int_equal(schema_check("queue.db", 2, 2, NULL), 0);
    assert_other_version(1, 2, "an older sluice made it (schema 1, this one has 2): start sluice once");
    assert_other_version(3, 2, "a newer sluice made it (schema 3, this one has 2)");
    assert_other_version(0, 2, "no queue of sluice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(the_columns_of_the_views),
        in_place(payloads_are_shown_readable),
        in_place(latin1_is_shown_with_escapes),
        in_place(the_time_of_receipt_is_local_and_readable),
        in_place(a_time_that_is_not_certain_is_marked),
        in_place(queries_in_targets_are_masked),
        in_place(the_summary_counts_by_route),
        in_place(a_pending_message_waits_or_is_deferred),
        in_place(the_summary_shows_drops_and_problems),
        in_place(a_migration_brings_an_older_database_up_to_date),
        in_place(a_migration_that_fails_changes_nothing),
        cmocka_unit_test(a_command_works_with_its_own_version_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
