/* The queue as people see it: filters, retry, drop, and how long each keeps the lock.
 * The commands themselves are tried in tests/system. */
#include "queue/queue_place.h"

#include "queue/admin/internal.h"
#include "queue/internal.h"

enum { MANY = 1700 };

static struct queue_admin *open_admin(bool write)
{
    struct queue_admin *admin = NULL;
    char *why = NULL;
    if (queue_admin_open(place.path, write, &admin, &why) != 0)
        fail_msg("%s", why);
    return admin;
}

/* Messages 1 to 4 are pending, and 3 of them is deferred; 5 and 6 are dead letters. */
static struct queue *open_stocked(void)
{
    struct queue *queue = open_queue();
    static const char *const topics[] = {"garden/a/sensor", "garden/b/sensor", "garden/a/air",
                                         "house/a/sensor",  "garden/a/sensor", "garden/b/sensor"};
    for (size_t i = 0; i < ARRAY_LEN(topics); i++)
        store_text(queue, topics[i], "{}");
    assert_int_equal(queue_blame(queue, 3, 2, 500, "500: oops", 1), 0);
    assert_int_equal(queue_defer(queue, 3), 0);
    assert_int_equal(queue_dead_letter(queue, 5, 3, 422, "rejected", "422: no", 1), 0);
    assert_int_equal(queue_dead_letter(queue, 6, 0, 0, "path", NULL, 1), 0);
    return queue;
}

struct ids_found {
    char text[64];
    int most; /* 0: all */
};

static bool note_id(void *context, const struct queue_glance *glance)
{
    struct ids_found *found = context;
    size_t used = strlen(found->text);
    snprintf(found->text + used, sizeof found->text - used, "%s%lld", used > 0 ? " " : "",
             (long long)glance->id);
    return found->most == 0 || --found->most > 0;
}

static void expect_ids(struct queue_admin *admin, struct queue_filter filter, bool newest_first,
                       const char *expected)
{
    struct ids_found found = {.most = 0};
    assert_int_equal(queue_admin_glance(admin, &filter, newest_first, note_id, &found), 0);
    assert_string_equal(found.text, expected);
}

static void filters(void **state)
{
    struct queue *queue = open_stocked();
    struct queue_admin *admin = open_admin(false);
    const int64_t ids[] = {2, 6, 99};
    expect_ids(admin, (struct queue_filter){.up_to = 0}, false, "1 2 3 4 5 6");
    expect_ids(admin, (struct queue_filter){.up_to = 0}, true, "6 5 4 3 2 1");
    expect_ids(admin, (struct queue_filter){.waiting = true, .deferred = true}, true, "4 3 2 1");
    expect_ids(admin, (struct queue_filter){.waiting = true}, true, "4 2 1");
    expect_ids(admin, (struct queue_filter){.deferred = true}, false, "3");
    expect_ids(admin, (struct queue_filter){.deferred = true, .dead = true}, true, "6 5 3");
    expect_ids(admin, (struct queue_filter){.deferred = true, .topic = "house/#"}, false, "");
    expect_ids(admin, (struct queue_filter){.dead = true}, false, "5 6");
    expect_ids(admin, (struct queue_filter){.waiting = true, .dead = true, .up_to = 5}, false, "1 2 4 5");
    expect_ids(admin, (struct queue_filter){.up_to = 5}, true, "5 4 3 2 1");
    expect_ids(admin, (struct queue_filter){.topic = "garden/+/sensor"}, false, "1 2 5 6");
    expect_ids(admin, (struct queue_filter){.route = "sensor", .topic = "house/#"}, false, "4");
    expect_ids(admin, (struct queue_filter){.route = "sens"}, false, "");
    expect_ids(admin, (struct queue_filter){.reason = "path"}, false, "6");
    expect_ids(admin, (struct queue_filter){.reason = "path", .waiting = true}, false, "");
    expect_ids(admin, (struct queue_filter){.reason = "path", .deferred = true}, false, "");
    expect_ids(admin, (struct queue_filter){.ids = ids, .id_count = 3}, false, "2 6");
    expect_ids(admin, (struct queue_filter){.ids = ids, .id_count = 3, .dead = true}, true, "6");
    expect_ids(admin, (struct queue_filter){.ids = ids, .id_count = 3, .deferred = true}, false, "");
    expect_ids(admin, (struct queue_filter){.newer_ms = 3600000}, false, "1 2 3 4 5 6");
    expect_ids(admin, (struct queue_filter){.older_ms = 3600000}, false, "");
    queue_admin_close(admin);
    queue_close(queue);
}

static void a_visit_may_end_it(void **state)
{
    struct queue *queue = open_stocked();
    struct queue_admin *admin = open_admin(false);
    struct ids_found found = {.most = 2};
    struct queue_filter all = {.up_to = 0};
    assert_int_equal(queue_admin_glance(admin, &all, true, note_id, &found), 0);
    assert_string_equal(found.text, "6 5");
    queue_admin_close(admin);
    queue_close(queue);
}

static bool check_row(void *context, const struct message_row *row)
{
    int *seen = context;
    ++*seen;
    assert_int_equal(row->deferred, row->message.id == 3);
    if (row->message.id != 5)
        return true;
    assert_true(row->dead);
    assert_string_equal(row->reason, "rejected");
    assert_string_equal(row->last_error, "422: no");
    assert_int_equal(row->last_status, 422);
    assert_int_equal(row->message.attempts, 3);
    assert_string_equal(row->message.topic, "garden/a/sensor");
    assert_memory_equal(row->message.payload, "{}", 2);
    assert_true(row->message.this_boot);
    return true;
}

/* In a visit no query is open: the daemon's log can start again. */
static void rows_are_whole(void **state)
{
    struct queue *queue = open_stocked();
    struct queue_admin *admin = open_admin(false);
    struct queue_filter all = {.up_to = 0};
    int seen = 0;
    assert_int_equal(queue_admin_rows(admin, &all, false, check_row, &seen), 0);
    assert_int_equal(seen, 6);
    queue_admin_close(admin);
    queue_close(queue);
}

static void a_retried_message_has_its_old_columns(void **state)
{
    struct queue *queue = open_stocked();
    char *before = ask("select id, run, route, topic, uptime_ms, packet_id, payload from dead_letter");
    struct queue_admin *admin = open_admin(true);
    struct queue_filter dead = {.dead = true};
    struct queue_changed changed;
    assert_int_equal(queue_rescan_take(queue), 0);
    assert_int_equal(queue_admin_retry(admin, &dead, NULL, NULL, &changed), 0);
    assert_int_equal(changed.dead_letters, 2);
    assert_int_equal(changed.messages, 0);
    assert_int_equal(queue_admin_close(admin), 0);
    assert_answer("select count(*) from dead_letter", "0");
    assert_answer("select id, run, route, topic, uptime_ms, packet_id, payload from message where id > 4",
                  before);
    assert_answer("select attempts, last_status, last_error from message where id = 5", "0|422|422: no");
    assert_answer(
        "select substr(history, 1, instr(history, char(10))), substr(history, -18) from message where id = 5",
        "{\"number\":1,\"time\":1,\"event\":\"rejected\",\"attempt\":3,\"status\":422,\"error\":\"422: "
        "no\"}\n"
        "|\"event\":\"retried\"}");
    assert_int_equal(queue_rescan_take(queue), 5);
    assert_int_equal(queue_rescan_take(queue), 0);
    assert_answer("select count(*) from rescan", "0");
    assert_answer("select id from message where deferred", "3");
    free(before);
    queue_close(queue);
}

static void note_deferred(void *context, int64_t id, const char *route, unsigned attempts)
{
    *(int64_t *)context = id;
}

/* It waits again, with all its attempts; the daemon reads it again from its id. */
static void a_retry_ends_a_deferral(void **state)
{
    struct queue *queue = open_stocked();
    char *before = ask("select id, run, route, topic, uptime_ms, packet_id, payload from message");
    int64_t deferred = 0;
    assert_int_equal(queue_scan_deferred(queue, 0, 9, note_deferred, &deferred), 1);
    assert_int_equal(deferred, 3);
    assert_int_equal(queue_rescan_take(queue), 0);
    struct queue_admin *admin = open_admin(true);
    struct queue_filter other = {.topic = "garden/b/#", .deferred = true}, all = {.up_to = 0};
    struct queue_changed changed;
    assert_int_equal(queue_admin_retry(admin, &other, NULL, NULL, &changed), 0);
    assert_int_equal(changed.messages + changed.dead_letters, 0);
    assert_int_equal(queue_rescan_take(queue), 0);
    assert_int_equal(queue_admin_retry(admin, &all, NULL, NULL, &changed), 0);
    assert_int_equal(changed.messages, 1);
    assert_int_equal(changed.dead_letters, 2);
    assert_int_equal(queue_admin_retry(admin, &all, NULL, NULL, &changed), 0);
    assert_int_equal(changed.messages + changed.dead_letters, 0);
    assert_int_equal(queue_admin_close(admin), 0);
    assert_answer("select id, run, route, topic, uptime_ms, packet_id, payload from message where id < 5",
                  before);
    assert_answer("select deferred, attempts, last_status, last_error, substr(history, -18) from message"
                  " where id = 3",
                  "0|0|500|500: oops|\"event\":\"retried\"}");
    assert_int_equal(queue_rescan_take(queue), 3);
    assert_int_equal(queue_scan_deferred(queue, 0, 9, note_deferred, &deferred), 0);
    free(before);
    queue_close(queue);
}

/* Waiting messages are delivered anyway. */
static void a_retry_leaves_waiting_messages_alone(void **state)
{
    struct queue *queue = open_stocked();
    char *before = ask("select id, attempts, history, deferred from message");
    struct queue_admin *admin = open_admin(true);
    const int64_t ids[] = {1, 2, 4};
    struct queue_filter waiting = {.waiting = true}, listed = {.ids = ids, .id_count = 3}, retried;
    struct queue_changed changed;
    assert_int_equal(queue_rescan_take(queue), 0);
    assert_false(queue_admin_retried(&waiting, &retried));
    assert_int_equal(queue_admin_retry(admin, &waiting, NULL, NULL, &changed), 0);
    assert_int_equal(changed.messages + changed.dead_letters, 0);
    assert_int_equal(queue_admin_retry(admin, &listed, NULL, NULL, &changed), 0);
    assert_int_equal(changed.messages + changed.dead_letters, 0);
    assert_int_equal(queue_admin_close(admin), 0);
    assert_answer("select id, attempts, history, deferred from message", before);
    assert_int_equal(queue_rescan_take(queue), 0);
    free(before);
    queue_close(queue);
}

static int deny_returned(void *context, int action, const char *table, const char *column,
                         const char *database, const char *trigger)
{
    return action == SQLITE_READ && strcmp(table, "rescan") == 0 ? SQLITE_DENY : SQLITE_OK;
}

/* A disk that cannot be read for a moment is no reason to forget them. */
static void a_retried_message_is_seen_after_a_failure(void **state)
{
    struct queue *queue = open_stocked();
    struct queue_admin *admin = open_admin(true);
    struct queue_filter dead = {.dead = true};
    struct queue_changed changed;
    assert_int_equal(queue_rescan_take(queue), 0);
    assert_int_equal(queue_admin_retry(admin, &dead, NULL, NULL, &changed), 0);
    assert_int_equal(queue_admin_close(admin), 0);
    sqlite3_set_authorizer(queue->db.handle, deny_returned, NULL);
    assert_int_equal(queue_rescan_take(queue), 0);
    sqlite3_set_authorizer(queue->db.handle, NULL, NULL);
    assert_int_equal(queue_rescan_take(queue), 5);
    assert_int_equal(queue_rescan_take(queue), 0);
    queue_close(queue);
}

static void dropped_messages_are_counted(void **state)
{
    struct queue *queue = open_stocked();
    struct queue_admin *admin = open_admin(true);
    struct queue_filter some = {.topic = "garden/+/sensor"};
    struct queue_changed changed;
    assert_int_equal(queue_admin_drop(admin, &some, NULL, NULL, &changed), 0);
    assert_int_equal(changed.messages, 2);
    assert_int_equal(changed.dead_letters, 2);
    assert_int_equal(queue_admin_close(admin), 0);
    assert_answer("select id from message", "3\n4");
    assert_answer("select reason, route, messages, bytes from dropped", "by-hand|sensor|4|8");
    assert_int_equal(queue_rescan_take(queue), 0);
    queue_close(queue);
}

/* ---- the lock ---- */

struct watch {
    int rows, most_rows, commits;
};

static void on_change(void *context, int kind, const char *database, const char *table, sqlite3_int64 id)
{
    struct watch *watch = context;
    if (kind == SQLITE_DELETE && (strcmp(table, "dead_letter") == 0 || strcmp(table, "message") == 0))
        watch->rows++;
}

static int on_commit(void *context)
{
    struct watch *watch = context;
    watch->commits++;
    watch->most_rows = watch->rows > watch->most_rows ? watch->rows : watch->most_rows;
    watch->rows = 0;
    return 0;
}

/* The daemon never waits; it must come to its turn. */
static void no_transaction_is_long(void **state)
{
    struct queue *queue = open_queue();
    assert_int_equal(queue_begin(queue), 0);
    for (int i = 0; i < MANY; i++) {
        struct message message = reading("garden/a/sensor", "{}", 2);
        append(queue, &message);
    }
    assert_int_equal(queue_commit(queue), 0);
    sqlite3 *eye = look(SQLITE_OPEN_READWRITE);
    execute(eye, "insert into dead_letter (id, run, route, topic, uptime_ms, source, attempts, died_ms, "
                 "reason, payload)"
                 " select id, run, route, topic, uptime_ms, source, 0, 1, 'rejected', payload from message;"
                 " delete from message");
    sqlite3_close(eye);
    struct queue_admin *admin = open_admin(true);
    struct watch watch = {.rows = 0};
    sqlite3_update_hook(admin->db.handle, on_change, &watch);
    sqlite3_commit_hook(admin->db.handle, on_commit, &watch);
    struct queue_filter half = {.up_to = MANY / 2}, all = {.up_to = 0};
    struct queue_changed changed;
    assert_int_equal(queue_admin_retry(admin, &half, NULL, NULL, &changed), 0);
    assert_int_equal(changed.dead_letters, MANY / 2);
    assert_int_equal(queue_admin_drop(admin, &(struct queue_filter){.dead = true}, NULL, NULL, &changed), 0);
    assert_int_equal(changed.dead_letters, MANY / 2);
    assert_int_equal(queue_admin_drop(admin, &all, NULL, NULL, &changed), 0);
    assert_int_equal(changed.messages, MANY / 2);
    assert_int_equal(watch.most_rows, QUEUE_ADMIN_ROWS);
    assert_int_equal(watch.commits, 6);
    queue_admin_close(admin);
    queue_close(queue);
}

/* ---- others ---- */

static void expect_refusal(const char *path, bool write, int expected, const char *words)
{
    struct queue_admin *admin = NULL;
    char *why = NULL;
    assert_int_equal(queue_admin_open(path, write, &admin, &why), expected);
    assert_null(admin);
    if (!strstr(why, words))
        fail_msg("%s", why);
    free(why);
}

static void another_database_is_refused(void **state)
{
    expect_refusal(place.path, false, -ENOENT, "there is no queue here");
    put_file(place.path, "this is a text and no database", 30);
    expect_refusal(place.path, false, -EBADMSG, "damaged, or not a database");
    unlink(place.path);
    sqlite3 *other = look(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    execute(other, "create table theirs (x); pragma user_version = 0");
    sqlite3_close(other);
    expect_refusal(place.path, false, -EPROTONOSUPPORT, "no queue of sluice");
}

static void who_has_it(void **state)
{
    assert_int_equal(queue_admin_holder(place.path), 0);
    struct queue *queue = open_queue();
    assert_int_equal(queue_admin_holder(place.path), getpid());
    queue_close(queue);
    assert_int_equal(queue_admin_holder(place.path), 0);
}

/* What came by sluice send is not waited for at the broker. */
static void a_message_without_a_packet_identifier_needs_no_confirmation(void **state)
{
    struct queue *queue = open_queue();
    int64_t mqtt = store_text(queue, "garden/a/sensor", "1");
    struct message message = reading("garden/a/sensor", "2", 1);
    message.packet_id = 0;
    int64_t sent = store(queue, &message);
    queue_settle(queue, mqtt, true);
    queue_settle(queue, sent, false);
    assert_int_equal(queue_unconfirmed_count(queue), 1);
    assert_int_equal(queue_settled_count(queue), 1);
    assert_int_equal(queue_settle_commit(queue, SIZE_MAX), 0);
    assert_answer("select payload from message", "1");
    queue_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(filters),
        in_place(a_visit_may_end_it),
        in_place(rows_are_whole),
        in_place(a_retried_message_has_its_old_columns),
        in_place(a_retry_ends_a_deferral),
        in_place(a_retry_leaves_waiting_messages_alone),
        in_place(a_retried_message_is_seen_after_a_failure),
        in_place(dropped_messages_are_counted),
        in_place(no_transaction_is_long),
        in_place(another_database_is_refused),
        in_place(who_has_it),
        in_place(a_message_without_a_packet_identifier_needs_no_confirmation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
