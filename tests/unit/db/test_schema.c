/* The views of the schema, which are for people. */
#include "queue/queue_place.h"

#include <time.h>

static void the_columns_of_the_views(void **state)
{
    queue_close(open_queue());
    assert_answer(
        "SELECT group_concat(name, ' ') FROM pragma_table_info('pending')",
        "id received route topic payload bytes attempts last_status last_error target idempotency_key");
    assert_answer("SELECT group_concat(name, ' ') FROM pragma_table_info('dead')",
                  "id received died route topic reason last_status last_error attempts payload bytes target "
                  "idempotency_key");
    assert_answer("SELECT group_concat(name, ' ') FROM pragma_table_info('summary')",
                  "route waiting oldest_waiting dead dropped trouble");
}

/* What payload the view shows; `shown` must be good UTF-8 without controls. */
static void assert_shown(const char *payload, size_t bytes, const char *shown)
{
    struct queue *queue = open_queue();
    struct message message = reading("a", payload, bytes);
    int64_t id = store(queue, &message);
    cleanup_free char *expected = xasprintf("%s|%zu", shown, bytes);
    assert_answer("SELECT payload, bytes FROM pending", expected);
    assert_int_equal(queue_bury(queue, id, 1, 400, "rejected", "x", clock_wall_ms()), 0);
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
    assert_shown("{\"a\": 1}", 8, "{\"a\": 1}");
    assert_shown("21 \xc2\xb0\x43 \xe2\x82\xac", 10, "21 \xc2\xb0\x43 \xe2\x82\xac");
    assert_shown("", 0, "");
    assert_shown(long_text, 300, cut);
    assert_shown("a\0b", 3, "x'610062'");
    assert_shown("\x1b[2J", 4, "x'1B5B324A'");
    assert_shown("\xff\xfe", 2, "x'FFFE'");
    assert_shown("caf\xe9", 4, "x'636166E9'");
    assert_shown("]-^", 3, "]-^");
}

/* A continuation byte alone, as Latin-1 has it for a degree sign: SQLite's own
 * functions take it for a character. */
static void latin1_is_shown_in_hexadecimal(void **state)
{
    assert_shown("21\xb0\x43", 4, "x'3231B043'");
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
    assert_int_equal(queue_bury(queue, id, 1, 400, "rejected", "x", clock_wall_ms()), 0);
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
    store(queue, &message);
    store(queue, &message);
    assert_int_equal(queue_bury(queue, dead, 1, 400, "rejected", "x", clock_wall_ms()), 0);
    assert_answer("SELECT route, waiting, dead, oldest_waiting LIKE '____-__-__ __:__:__%' FROM summary",
                  "heartbeat|2|0|1\nsensor|1|1|1");
    queue_close(queue);
}

static void the_summary_tells_what_was_dropped_and_what_is_wrong(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    assert_int_equal(queue_begin(queue), 0);
    assert_int_equal(queue_count_dropped(queue, "max_age", "old", 10), 0);
    assert_int_equal(queue_count_dropped(queue, "max_size", "old", 20), 0);
    assert_int_equal(queue_count_dropped(queue, "max_size", "sensor", 5), 0);
    assert_int_equal(queue_commit(queue), 0);
    queue_trouble(queue, "reader", "sqlite3 (4711) keeps the log growing: end it");
    queue_upkeep(queue, true);
    assert_answer("SELECT route, waiting, dead, dropped, trouble FROM summary WHERE trouble IS NULL",
                  "old|0|0|2|-\nsensor|1|0|1|-");
    assert_answer("SELECT route, trouble LIKE 'reader, since ____-__-__ __:__:__: sqlite3 (4711) keeps%'"
                  " FROM summary WHERE trouble IS NOT NULL",
                  "-|1");
    queue_trouble(queue, "reader", NULL);
    queue_upkeep(queue, true);
    assert_answer("SELECT count(*) FROM summary WHERE trouble IS NOT NULL", "0");
    queue_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(the_columns_of_the_views),
        in_place(payloads_are_shown_readable),
        in_place(latin1_is_shown_in_hexadecimal),
        in_place(the_time_of_receipt_is_local_and_readable),
        in_place(a_time_that_is_not_certain_is_marked),
        in_place(queries_in_targets_are_masked),
        in_place(the_summary_counts_by_route),
        in_place(the_summary_tells_what_was_dropped_and_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
