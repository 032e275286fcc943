/* Reading the queue: scans, fetches, copies. */
#include "queue/queue_place.h"

static void a_stored_message_comes_back_byte_for_byte(void **state)
{
    static const char bytes[] = "\0\xff\xfe{\"a\":1}\r\n\0";
    struct message in = reading("garden/\xc3\xa9/sensor", bytes, sizeof bytes);
    in.source = "http";
    in.method = "POST";
    in.target = "/api/x?user_key=secret";
    in.content_type = "text/plain";
    in.packet_id = 65535;
    in.late = true;
    struct queue *queue = open_queue();
    int64_t before_ms = clock_wall_ms();
    int64_t id = store(queue, &in);

    struct message out;
    assert_int_equal(queue_fetch(queue, id, &out), 0);
    assert_int_equal(out.id, id);
    assert_string_equal(out.route, in.route);
    assert_string_equal(out.topic, in.topic);
    assert_string_equal(out.source, in.source);
    assert_string_equal(out.method, in.method);
    assert_string_equal(out.target, in.target);
    assert_string_equal(out.content_type, in.content_type);
    assert_int_equal(out.packet_id, in.packet_id);
    assert_int_equal(out.uptime_ms, in.uptime_ms);
    assert_true(out.late);
    assert_int_equal(out.payload_bytes, sizeof bytes);
    assert_memory_equal(out.payload, bytes, sizeof bytes);
    assert_int_equal(out.attempts, 0);
    assert_true(out.this_boot);
    assert_true(out.received_ms > before_ms - 1000 && out.received_ms < before_ms + 1000);
    queue_fetch_done(queue);
    queue_close(queue);
}

static void an_absent_field_stays_absent(void **state)
{
    struct queue *queue = open_queue();
    struct message in = reading("a", NULL, 0);
    in.packet_id = 0;
    int64_t id = store(queue, &in);
    struct message out;
    assert_int_equal(queue_fetch(queue, id, &out), 0);
    assert_int_equal(out.payload_bytes, 0);
    assert_null(out.method);
    assert_null(out.target);
    assert_null(out.content_type);
    assert_int_equal(out.packet_id, 0);
    assert_false(out.late);
    queue_fetch_done(queue);
    assert_int_equal(queue_fetch(queue, id + 1, &out), -ENOENT);
    queue_close(queue);
    assert_answer("SELECT typeof(payload), length(payload), packet_id, late_since_uptime_ms FROM message",
                  "blob|0|-|-");
}

struct seen {
    int count;
    int64_t ids[16];
    char topics[16][8];
};

static void see(void *context, int64_t id, const char *route, const char *topic, bool deferred)
{
    struct seen *seen = context;
    assert_string_equal(route, "sensor");
    assert_true(seen->count < 16);
    seen->ids[seen->count] = id;
    snprintf(seen->topics[seen->count++], sizeof seen->topics[0], "%s", topic);
}

static void a_scan_gives_ranges_in_order(void **state)
{
    struct queue *queue = open_queue();
    int64_t ids[10];
    for (int i = 0; i < 10; i++) {
        char topic[8];
        snprintf(topic, sizeof topic, "t/%c", (char)('0' + i));
        ids[i] = store_text(queue, topic, "1");
    }
    struct seen seen = {0};
    assert_int_equal(queue_scan(queue, 0, ids[9], 100, see, &seen), 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(seen.ids[i], ids[i]);
    assert_string_equal(seen.topics[9], "t/9");

    seen.count = 0; /* after is excluded, up_to included */
    assert_int_equal(queue_scan(queue, ids[2], ids[5], 100, see, &seen), 3);
    assert_int_equal(seen.ids[0], ids[3]);
    assert_int_equal(seen.ids[2], ids[5]);
    seen.count = 0;
    assert_int_equal(queue_scan(queue, 0, ids[9], 4, see, &seen), 4);
    assert_int_equal(seen.ids[3], ids[3]);
    seen.count = 0;
    assert_int_equal(queue_scan(queue, ids[9], ids[9] + 5, 4, see, &seen), 0);
    queue_close(queue);
}

static void copy_it(void *context, int64_t id, const char *route, const char *topic, bool deferred)
{
    struct queue **queue = context;
    struct queue_copy *copy = queue_copy(*queue, id);
    struct message message;
    if (id == 1) {
        assert_non_null(copy);
        assert_int_equal(queue_copied(*queue, copy, &message), 0);
        assert_string_equal(message.topic, topic);
    } else {
        assert_null(copy); /* long */
    }
    free(*(void **)(queue + 1));
    *(void **)(queue + 1) = copy;
}

/* A person who drops a message must not see it leave all the same. */
static void a_copy_is_what_was_stored_until_someone_changes_it(void **state)
{
    struct {
        struct queue *queue;
        struct queue_copy *copy;
    } at = {.queue = open_queue()};
    static const char bytes[] = "21\0C";
    struct message in = reading("a/b", bytes, sizeof bytes), out, copied;
    in.content_type = "text/plain";
    int64_t id = store(at.queue, &in);
    assert_int_equal(queue_scan(at.queue, 0, id, 1, copy_it, &at), 1);
    queue_refresh(at.queue);
    assert_int_equal(queue_scan(at.queue, 0, id, 1, copy_it, &at), 1);
    store_text(at.queue, "c", "our own commits change nothing");
    queue_refresh(at.queue);
    assert_int_equal(queue_copied(at.queue, at.copy, &copied), 0);
    assert_int_equal(queue_fetch(at.queue, id, &out), 0);
    assert_string_equal(copied.key, out.key);
    assert_string_equal(copied.route, out.route);
    assert_string_equal(copied.topic, out.topic);
    assert_string_equal(copied.content_type, out.content_type);
    assert_null(copied.target);
    assert_int_equal(copied.received_ms, out.received_ms);
    assert_int_equal(copied.uptime_ms, out.uptime_ms);
    assert_int_equal(copied.payload_bytes, sizeof bytes);
    assert_memory_equal(copied.payload, bytes, sizeof bytes);
    queue_fetch_done(at.queue);

    sqlite3 *person = look(SQLITE_OPEN_READWRITE);
    assert_int_equal(sqlite3_exec(person, "DELETE FROM message WHERE id = 1", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(person);
    queue_refresh(at.queue);
    assert_int_equal(queue_copied(at.queue, at.copy, &copied), -ESTALE);
    free(at.copy);
    at.copy = NULL;

    static char text[300];
    memset(text, 'x', sizeof text);
    in = reading("long", text, sizeof text);
    id = store(at.queue, &in);
    assert_int_equal(queue_scan(at.queue, id - 1, id, 1, copy_it, &at), 1);
    queue_close(at.queue);
}

/* A statement left open would keep the WAL growing for ever. */
static void nothing_is_left_open_between_calls(void **state)
{
    struct queue *queue = open_queue();
    struct seen seen = {0};
    int64_t id = store_text(queue, "a", "1");
    struct message message;
    assert_int_equal(queue_scan(queue, 0, id, 1, see, &seen), 1);
    assert_int_equal(queue_fetch(queue, id, &message), 0);
    queue_fetch_done(queue);
    sqlite3 *other = look(SQLITE_OPEN_READWRITE);
    assert_answer("SELECT 1", "1");
    cleanup_free char *result = ask_with(other, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_string_equal(result, "0|0|0"); /* not busy, nothing left in it */
    sqlite3_close(other);
    queue_close(queue);
}

static void a_long_topic_is_not_copied(void **state)
{
    struct queue *queue = open_queue();
    char *topic = xcalloc(1, 60001);
    memset(topic, 'a', 60000);
    assert_null(queue_copy(queue, store_text(queue, topic, "1")));
    free(topic);
    queue_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(a_stored_message_comes_back_byte_for_byte),
        in_place(an_absent_field_stays_absent),
        in_place(a_scan_gives_ranges_in_order),
        in_place(a_copy_is_what_was_stored_until_someone_changes_it),
        in_place(nothing_is_left_open_between_calls),
        in_place(a_long_topic_is_not_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
