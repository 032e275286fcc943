/* No statement's cost grows with the queue: what the daemon runs every second, and
 * what it runs at its start, finds its rows by key, without sorting.
 *
 * The statements are those of the table in queue/statements.h, and all that SQLite runs in a
 * scenario that leads through every part of the queue.
 */
#include "queue/queue_place.h"

#include "db/functions.h"
#include "queue/internal.h"

enum { MANY = 20000, MOST_TEXTS = 512 };

/* ---- what a plan must not have ---- */

/* Tables that stay small, and what may go through all of one. */
static const struct {
    const char *scan;
    const char *why;
} small_tables[] = {
    {"SCAN subscription", "a row for each topic filter of the configuration; at a connect"},
    {"SCAN run", "a row for each start since the oldest message; when the clock was repaired"},
    {"SCAN device_state", "a row for each device, of which there is a limit; when a new one comes"},
    {"SCAN dropped", "a row for each reason and route"},
    {"SCAN problem", "a row for each kind of problem"},
    {"SCAN session", "a row for each client_id that the configuration had; at the start"},
    {"SCAN held", "ten rows for each route that is held"},
    {"SCAN CONSTANT ROW", "no table"},
    {"SCAN sqlite_master", "the list of tables"},
    {"SCAN sqlite_schema", "the same"},
};

static bool is_small(const char *detail)
{
    for (size_t i = 0; i < ARRAY_LEN(small_tables); i++) {
        size_t bytes = strlen(small_tables[i].scan);
        if (strncmp(detail, small_tables[i].scan, bytes) == 0 &&
            (detail[bytes] == '\0' || detail[bytes] == ' '))
            return true;
    }
    return false;
}

/* What is wrong with a statement's plan, for the caller to free, or NULL. */
static char *fault_of(sqlite3 *handle, const char *sql)
{
    cleanup_free char *explain = xasprintf("EXPLAIN QUERY PLAN %s", sql);
    db_add_functions(handle); /* as the queue's own connection has them */
    sqlite3_stmt *plan = NULL;
    if (sqlite3_prepare_v2(handle, explain, -1, &plan, NULL) != SQLITE_OK)
        fail_msg("%s: %s", explain, sqlite3_errmsg(handle));
    char *fault = NULL;
    while (!fault && sqlite3_step(plan) == SQLITE_ROW) {
        const char *detail = (const char *)sqlite3_column_text(plan, 3);
        bool scans = strncmp(detail, "SCAN ", 5) == 0 && !is_small(detail);
        bool sorts = strstr(detail, "USE TEMP B-TREE") && !strstr(sql, "FROM device_state ");
        if (scans || sorts)
            fault = xasprintf("%s: %s", detail, sql);
    }
    sqlite3_finalize(plan);
    return fault;
}

static void assert_sought(sqlite3 *handle, const char *sql)
{
    cleanup_free char *fault = fault_of(handle, sql);
    if (fault)
        fail_msg("%s", fault);
}

/* ---- what SQLite runs ---- */

static struct {
    bool listening;
    char *texts[MOST_TEXTS];
    size_t count;
    uint64_t steps; /* of SQLite's virtual machine */
    uint64_t scan_steps;
    uint64_t sorts;
} heard;

static void hear_text(const char *sql)
{
    for (size_t i = 0; i < heard.count; i++)
        if (strcmp(heard.texts[i], sql) == 0)
            return;
    assert_true(heard.count < MOST_TEXTS);
    heard.texts[heard.count++] = xstrdup(sql);
}

/* Called when a statement ends. */
static int on_profile(unsigned event, void *unused, void *statement, void *took)
{
    if (!heard.listening)
        return 0;
    hear_text(sqlite3_sql(statement));
    heard.steps += (uint64_t)sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 1);
    heard.scan_steps += (uint64_t)sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_FULLSCAN_STEP, 1);
    heard.sorts += (uint64_t)sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_SORT, 1);
    return 0;
}

static int on_connection(sqlite3 *handle, char **error, const struct sqlite3_api_routines *api)
{
    return sqlite3_trace_v2(handle, SQLITE_TRACE_PROFILE, on_profile, NULL);
}

static void listen(void)
{
    heard.steps = heard.scan_steps = heard.sorts = 0;
    heard.listening = true;
}

static int stop_listening(void **state)
{
    heard.listening = false;
    while (heard.count > 0)
        free(heard.texts[--heard.count]);
    return remove_place(state);
}

static bool is_query(const char *sql)
{
    static const char *const verbs[] = {"SELECT ", "INSERT ", "UPDATE ", "DELETE ", "REPLACE ", "WITH "};
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strncmp(sql, verbs[i], strlen(verbs[i])) == 0)
            return true;
    return false;
}

static bool was_heard(const char *words)
{
    for (size_t i = 0; i < heard.count; i++)
        if (strstr(heard.texts[i], words))
            return true;
    return false;
}

static void assert_all_heard_are_sought(void)
{
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    for (size_t i = 0; i < heard.count; i++)
        if (is_query(heard.texts[i]))
            assert_sought(handle, heard.texts[i]);
    sqlite3_close(handle);
}

/* ---- a queue to run them in ---- */

/* Many messages and many dead letters, of several runs, with or without packet ids. */
static void fill(bool with_packet_ids)
{
    queue_close(open_queue()); /* makes the tables */
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    cleanup_free char *sql =
        xasprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                  " INSERT INTO message (id, run, route, topic, uptime_ms, packet_id, payload)"
                  " SELECT 2 * i, 1 + i / 1000, 'sensor', 'garden/a/sensor', i, %s, x'7b7d' FROM n;",
                  MANY, with_packet_ids ? "1 + i % 60000" : "NULL");
    execute(handle, sql);
    execute(handle,
            "INSERT INTO dead_letter (id, run, route, topic, uptime_ms, source, packet_id, attempts,"
            " last_status, last_error, died_ms, reason, payload)"
            " SELECT id - 1, run, route, topic, uptime_ms, source, packet_id, 1, 400, 'bad', 0, 'rejected',"
            " payload FROM message;"
            "INSERT OR IGNORE INTO run (id, token, boot_id, epoch_ms, synchronised)"
            " SELECT DISTINCT run, 'run' || run, 'boot', 0, 1 FROM message");
    sqlite3_close(handle);
}

static void see_subscription(void *context, const struct subscription *subscription)
{
}

static void see_packet(void *context, int64_t id, uint16_t packet_id, uint64_t digest)
{
    ++*(unsigned *)context;
}

static void see_message(void *context, int64_t id, const char *route, const char *topic, bool deferred)
{
}

static void live(struct queue *queue)
{
    unsigned packets = 0;
    struct message message;
    assert_int_equal(queue_unconfirmed_each(queue, 100, see_packet, &packets), 0);
    assert_int_equal(queue_scan(queue, 0, INT64_MAX, 10, see_message, NULL), 10);
    int64_t id = store_text(queue, "garden/a/sensor", "1");
    confirm_and_settle(queue, id);
    assert_int_equal(queue_settle_commit(queue, SIZE_MAX), 0);
    id = store_text(queue, "garden/a/sensor", "2");
    assert_int_equal(queue_fetch(queue, id, &message), 0);
    queue_fetch_done(queue);
    free(queue_copy(queue, id));
    assert_int_equal(queue_blame(queue, id, 1, 409, "conflict", 0), 0);
    assert_int_equal(queue_dead_letter(queue, id, 2, 400, "rejected", "bad", 0), 0);
    assert_int_equal(queue_trial_commit(queue), 0);
    assert_int_equal(queue_subscription_add(queue, "garden/+/sensor"), 0);
    assert_int_equal(queue_subscription_grant(queue, "garden/+/sensor", true), 0);
    assert_int_equal(queue_subscription_vanish(queue, "garden/+/sensor"), 0);
    assert_int_equal(queue_subscription_unsubscribed(queue, "garden/+/sensor"), 0);
    assert_int_equal(queue_subscriptions(queue, see_subscription, NULL), 0);
    queue_drained_set(queue, clock_uptime_ms());
    assert_int_equal(queue_clock_changed(queue), 0);
    queue_problem_set(queue, "full", "so it is");
    queue_problem_set(queue, "full", NULL);
    for (int i = 0; i < 10; i++)
        queue_upkeep(queue, true);
}

static void live_full(struct queue *queue)
{
    static const enum config_when_full modes[] = {CONFIG_FULL_HOLD, CONFIG_FULL_DROP_OLDEST,
                                                  CONFIG_FULL_DROP_NEWEST};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        const struct config_queue limits = {.path = place.path,
                                            .commit_batch = 1000,
                                            .max_size = 1 << 30,
                                            .max_messages = MANY / 2,
                                            .max_age_ms = 1,
                                            .when_full = modes[i]};
        queue_limit(queue, &limits);
        for (int j = 0; j < 10; j++)
            queue_upkeep(queue, true);
        queue_full(queue);
        queue_hold(queue);
        free(queue_full_text(queue));
        free(queue_room_text(queue));
        assert_int_equal(queue_begin(queue), 0);
        struct message message = reading("garden/a/sensor", "3", 1);
        queue_make_room(queue, 1);
        append(queue, &message);
        struct device device = {.life_count = 1};
        int64_t silent_ms;
        queue_device(queue, "garden/a/ack", &device, &silent_ms);
        assert_int_equal(queue_device_save(queue, "garden/a/ack", "sensor", &device), 0);
        assert_int_equal(queue_devices_prune(queue), 0);
        assert_int_equal(queue_count_dropped(queue, "max_messages", "sensor", 1), 0);
        assert_int_equal(queue_commit(queue), 0);
        store_text(queue, "garden/a/sensor", "4");
    }
}

/* ---- tests ---- */

static void the_check_finds_scans_and_sorts(void **state)
{
    queue_close(open_queue());
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    static const char *const bad[] = {
        "SELECT count(*) FROM message",
        "SELECT id FROM message ORDER BY topic",
        "SELECT id FROM message WHERE route = 'sensor'",
        "SELECT id FROM message WHERE id > 1 ORDER BY topic",
        "DELETE FROM run WHERE id NOT IN (SELECT run FROM dead_letter)",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        cleanup_free char *fault = fault_of(handle, bad[i]);
        assert_non_null(fault);
    }
    assert_sought(handle, "SELECT id FROM message WHERE id > 1 ORDER BY id LIMIT 10");
    sqlite3_close(handle);
}

static void every_statement_of_the_table_finds_its_rows_by_key(void **state)
{
    queue_close(open_queue());
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    for (size_t i = 0; i < ARRAY_LEN(queue_statement_sql); i++) {
        assert_non_null(queue_statement_sql[i]);
        assert_sought(handle, queue_statement_sql[i]);
    }
    sqlite3_close(handle);
}

static void so_does_all_that_is_run_in_a_life(void **state)
{
    fill(true);
    listen();
    struct queue *queue = open_queue();
    live(queue);
    live_full(queue);
    queue_close(queue);
    heard.listening = false;
    assert_true(was_heard("INSERT INTO message"));
    assert_true(was_heard("DELETE FROM run"));
    assert_all_heard_are_sought();
    assert_int_equal(heard.sorts, 0);
}

/* Steps of SQLite's virtual machine from open to close. */
static uint64_t steps_to_open(void)
{
    listen();
    queue_close(open_queue());
    heard.listening = false;
    return heard.steps;
}

static void opening_costs_the_same_whatever_waits(void **state)
{
    queue_close(open_queue());
    uint64_t empty = steps_to_open();
    fill(true);
    steps_to_open(); /* forgets the runs of which nothing is left */
    uint64_t full = steps_to_open();
    assert_in_range(full, 1, 2 * empty + 100);
    assert_false(was_heard("_check")); /* neither does a check of the whole database */
    assert_all_heard_are_sought();
}

/* Messages that came by HTTP have no packet id; the search for the newest that do
 * must not go through all of them. */
static void the_newest_packets_are_found_among_the_newest_rows(void **state)
{
    for (int with_packet_ids = 0; with_packet_ids <= 1; with_packet_ids++) {
        fill(with_packet_ids);
        struct queue *queue = open_queue();
        unsigned packets = 0;
        listen();
        assert_int_equal(queue_unconfirmed_each(queue, 100, see_packet, &packets), 0);
        heard.listening = false;
        assert_int_equal(packets, with_packet_ids ? 100 : 0);
        assert_in_range(heard.steps, 1, 100 * 40);
        assert_int_equal(heard.sorts, 0);
        queue_close(queue);
        remove_place(state);
        assert_int_equal(make_place(state), 0);
    }
}

#define planned(test) cmocka_unit_test_setup_teardown(test, make_place, stop_listening)

int main(void)
{
    sqlite3_auto_extension((void (*)(void))on_connection);
    const struct CMUnitTest tests[] = {
        planned(the_check_finds_scans_and_sorts),
        planned(every_statement_of_the_table_finds_its_rows_by_key),
        planned(so_does_all_that_is_run_in_a_life),
        planned(opening_costs_the_same_whatever_waits),
        planned(the_newest_packets_are_found_among_the_newest_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
