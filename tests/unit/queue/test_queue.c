/* The queue, with real files. */
#include "message/replay.h"
#include "queue/queue_place.h"

#include <signal.h>
#include <sys/resource.h>

/* ---- in ---- */

static void what_was_stored_comes_back_byte_for_byte(void **state)
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

static void what_is_absent_stays_absent(void **state)
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

static void nobody_sees_it_before_the_commit(void **state)
{
    struct queue *queue = open_queue();
    assert_int_equal(queue_last_id(queue), 0);
    assert_int_equal(queue_begin(queue), 0);
    struct message message = reading("a", "1", 1);
    append(queue, &message);
    int64_t last = append(queue, &message);
    assert_answer("SELECT count(*) FROM message", "0");
    assert_int_equal(queue_last_id(queue), 0);
    assert_int_equal(queue_commit(queue), 0);
    assert_answer("SELECT count(*) FROM message", "2");
    assert_int_equal(queue_last_id(queue), last);
    queue_close(queue);
}

static void a_rollback_leaves_nothing_and_uses_no_id_again(void **state)
{
    struct queue *queue = open_queue();
    assert_int_equal(queue_begin(queue), 0);
    struct message message = reading("a", "1", 1);
    int64_t lost = append(queue, &message);
    queue_rollback(queue);
    assert_int_equal(queue_last_id(queue), 0);
    struct message out;
    assert_int_equal(queue_fetch(queue, lost, &out), -ENOENT);
    assert_true(store_text(queue, "b", "2") > lost);
    assert_answer("SELECT topic FROM message", "b");
    queue_close(queue);
}

/* Storage that takes no more bytes: files may not grow beyond what they are. */
static void a_commit_that_fails_is_rolled_back_and_told(void **state)
{
    struct queue *queue = open_queue();
    int64_t kept = store_text(queue, "a", "kept");
    struct rlimit old, none;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    none = old;
    none.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);

    assert_int_equal(queue_begin(queue), 0);
    struct message message = reading("a", "lost", 4);
    int64_t lost = append(queue, &message);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    int error = queue_commit(queue);
    int trial = queue_trial_commit(queue);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_true(error < 0 && error != -EBUSY);
    assert_true(trial < 0 && trial != -EBUSY);
    assert_int_equal(queue_last_id(queue), kept);

    assert_int_equal(queue_trial_commit(queue), 0);
    assert_true(store_text(queue, "a", "again") > lost);
    queue_close(queue);
    assert_answer("SELECT CAST(payload AS TEXT) FROM message ORDER BY id", "kept\nagain");
}

static void a_trial_leaves_no_trace(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    cleanup_free char *before = ask("SELECT * FROM run, message, subscription");
    assert_int_equal(queue_trial_commit(queue), 0);
    assert_int_equal(queue_trial_commit(queue), 0);
    assert_answer("SELECT * FROM run, message, subscription", before);
    assert_answer("SELECT count(*) FROM run", "1");
    queue_close(queue);
}

static void ids_are_in_order_of_arrival_over_restarts(void **state)
{
    int64_t last = 0;
    for (int run = 0; run < 3; run++) {
        struct queue *queue = open_queue();
        assert_int_equal(queue_last_id(queue), last);
        for (int i = 0; i < 3; i++) {
            int64_t id = store_text(queue, "a", "1");
            assert_true(id > last);
            last = id;
        }
        queue_close(queue);
    }
}

static void fetch_key(struct queue *queue, int64_t id, char key[static 48])
{
    struct message message;
    assert_int_equal(queue_fetch(queue, id, &message), 0);
    memcpy(key, message.key, sizeof message.key);
    queue_fetch_done(queue);
}

static bool is_key(const char *key, int64_t id)
{
    cleanup_free char *end = xasprintf("-%lld", (long long)id);
    return strspn(key, "0123456789abcdef") == 16 && strcmp(key + 16, end) == 0;
}

/* Ids start again when the queue was empty; keys must not. */
static void keys_are_never_used_twice(void **state)
{
    enum { RUNS = 6, EACH = 3 };
    char keys[RUNS * EACH][MESSAGE_KEY_BYTES];
    int count = 0;
    for (int run = 0; run < RUNS; run++) {
        struct queue *queue = open_queue();
        for (int i = 0; i < EACH; i++) {
            int64_t id = store_text(queue, "a", "1");
            fetch_key(queue, id, keys[count]);
            assert_true(is_key(keys[count], id));
            count++;
            confirm_and_settle(queue, id);
        }
        queue_close(queue);
    }
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(keys[i], keys[j]);
}

static void a_message_keeps_its_key_over_restarts(void **state)
{
    struct queue *queue = open_queue();
    char before[MESSAGE_KEY_BYTES], after[MESSAGE_KEY_BYTES];
    int64_t id = store_text(queue, "a", "1");
    fetch_key(queue, id, before);
    for (int i = 0; i < 3; i++) {
        queue_close(queue);
        queue = open_queue();
        fetch_key(queue, id, after);
        assert_string_equal(after, before);
    }
    /* Set aside and left alone for some runs, it still has it. */
    assert_int_equal(queue_dead_letter(queue, id, 1, 400, "rejected", "no", clock_wall_ms()), 0);
    queue_close(queue);
    queue_close(open_queue());
    assert_answer("SELECT idempotency_key FROM dead", before);
    queue = open_queue();
    int64_t next = store_text(queue, "a", "2");
    assert_true(next > id);
    queue_close(queue);
}

static void a_cloned_database_makes_other_keys(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    queue_close(queue);
    cleanup_free char *clone_path = xasprintf("%s/clone.db", place.dir);
    copy_file(place.path, clone_path);

    struct queue *clone = NULL;
    char *why = NULL;
    assert_int_equal(queue_open(clone_path, &clone, &why), 0);
    queue = open_queue();
    char key[MESSAGE_KEY_BYTES], clone_key[MESSAGE_KEY_BYTES];
    int64_t id = store_text(queue, "a", "2"), clone_id = store_text(clone, "a", "2");
    assert_int_equal(id, clone_id);
    fetch_key(queue, id, key);
    fetch_key(clone, clone_id, clone_key);
    assert_string_not_equal(key, clone_key);
    queue_close(queue);
    queue_close(clone);
}

/* ---- what is there ---- */

struct seen {
    int count;
    int64_t ids[16];
    char topics[16][8];
};

static void see(void *context, int64_t id, const char *route, const char *topic)
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

static void copy_it(void *context, int64_t id, const char *route, const char *topic)
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

/* ---- out ---- */

static void settled_is_deleted_by_a_commit_of_its_own(void **state)
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

static void the_next_run_knows_what_was_confirmed(void **state)
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

static void settled_rides_on_the_next_commit(void **state)
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

static void settled_is_deleted_when_it_closes(void **state)
{
    struct queue *queue = open_queue();
    for (int i = 0; i < 300; i++)
        confirm_and_settle(queue, store_text(queue, "a", "1"));
    queue_confirm(queue, queue_last_id(queue));
    queue_close(queue);
    assert_answer("SELECT count(*) FROM message", "0");
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

static void the_newest_packets_are_known_after_a_restart(void **state)
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

/* Where nobody can confirm it, as while a full queue holds. */
static void what_was_let_go_is_known_until_it_is_confirmed(void **state)
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

    queue = open_queue(); /* with no message at all */
    assert_int_equal(packets_of(queue).count, 2);
    int64_t newer = store_text(queue, "c", "4");
    assert_true(newer > waits);
    assert_int_equal(packets_of(queue).count, 3);
    queue_confirm(queue, waits);
    queue_upkeep(queue, true); /* also where no row waits that is confirmed */
    assert_answer("SELECT count(*) FROM fingerprint", "0");
    assert_int_equal(packets_of(queue).count, 1);
    queue_close(queue);
}

/* Packet identifiers of what is confirmed may be given anew. */
static void what_was_noted_as_confirmed_is_not_known_after_a_crash(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "a", "a");
    store_text(queue, "b", "b");
    queue_confirm(queue, 1);
    assert_int_equal(queue_confirmed_save(queue), 0);
    queue_confirm(queue, 2); /* not noted */
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

#define HISTORY                                                                                              \
    "{\"number\":1,\"time\":1000,\"event\":\"failed\",\"attempt\":3,\"status\":409,\"words\":\"conflict\"}"  \
    "\n"                                                                                                     \
    "{\"number\":2,\"time\":2000,\"event\":\"failed\",\"attempt\":4}"

static void blame_is_noted_and_kept(void **state)
{
    struct queue *queue = open_queue();
    int64_t id = store_text(queue, "a", "1");
    assert_int_equal(queue_blame(queue, id, 3, 409, "conflict", 1000), 0);
    assert_answer("SELECT attempts, last_status, last_error FROM pending", "3|409|conflict");
    assert_int_equal(queue_blame(queue, id, 4, 0, NULL, 2000), 0);
    assert_answer("SELECT attempts, last_status, last_error FROM pending", "4|-|-");
    assert_answer("SELECT history FROM message", HISTORY);
    queue_close(queue);
    queue = open_queue();
    struct message message;
    assert_int_equal(queue_fetch(queue, id, &message), 0);
    assert_int_equal(message.attempts, 4);
    queue_fetch_done(queue);
    assert_int_equal(queue_dead_letter(queue, id, 4, 400, "rejected", "no", 3000), 0);
    assert_answer("SELECT history FROM dead_letter",
                  HISTORY "\n{\"number\":3,\"time\":3000,\"event\":\"rejected\",\"attempt\":4,\"status\":400,"
                          "\"words\":\"no\"}");
    queue_close(queue);
}

static void the_buried_lie_among_the_dead_whole(void **state)
{
    struct queue *queue = open_queue();
    struct message in = reading("a", "\0x", 2);
    in.content_type = "text/plain";
    int64_t id = store(queue, &in);
    cleanup_free char *was =
        ask("SELECT id, run, route, topic, uptime_ms, source, method, target, content_type, "
            "packet_id, late_since_uptime_ms, hex(payload) FROM message");
    int64_t now = clock_wall_ms();
    assert_int_equal(queue_dead_letter(queue, id, 5, 400, "rejected", "bad field", now), 0);
    assert_answer("SELECT count(*) FROM message", "0");
    assert_answer("SELECT id, run, route, topic, uptime_ms, source, method, target, content_type, "
                  "packet_id, late_since_uptime_ms, hex(payload) FROM dead_letter",
                  was);
    assert_answer("SELECT attempts, last_status, last_error, reason FROM dead_letter",
                  "5|400|bad field|rejected");
    cleanup_free char *died = xasprintf("%lld", (long long)now);
    assert_answer("SELECT died_ms FROM dead_letter", died);
    assert_int_equal(queue_dead_letter(queue, id, 5, 400, "rejected", "bad field", now), -ENOENT);
    struct message out;
    assert_int_equal(queue_fetch(queue, id, &out), -ENOENT);
    queue_close(queue);
}

/* ---- clients' own keys ---- */

static struct message request_of(const char *key, const char *topic, const char *payload)
{
    struct message message = reading(topic, payload, strlen(payload));
    message.route = "http";
    message.source = "http";
    message.method = "POST";
    message.target = "/api/c?user_key=k";
    message.packet_id = 0;
    message.idempotency_key = key;
    return message;
}

static void a_message_keeps_the_key_of_its_client(void **state)
{
    struct queue *queue = open_queue();
    struct message in = request_of("\"8e03978e\"", "10.0.0.1/api/c", "1");
    int64_t id = store(queue, &in);
    for (int round = 0; round < 2; round++) {
        struct message out;
        assert_int_equal(queue_fetch(queue, id, &out), 0);
        assert_string_equal(out.key, "\"8e03978e\"");
        assert_string_equal(out.target, "/api/c?user_key=k");
        queue_fetch_done(queue);
        assert_answer("SELECT idempotency_key, target FROM pending", "\"8e03978e\"|/api/c?***");
        queue_close(queue);
        queue = open_queue();
    }
    assert_int_equal(queue_dead_letter(queue, id, 1, 400, "rejected", "bad", clock_wall_ms()), 0);
    assert_answer("SELECT idempotency_key, target FROM dead", "\"8e03978e\"|/api/c?***");
    queue_close(queue);
}

static int64_t find_repeated(struct queue *queue, const struct message *message)
{
    int64_t id = -1;
    assert_int_equal(queue_begin(queue), 0);
    assert_int_equal(queue_find_repeated(queue, message, &id), 0);
    queue_rollback(queue);
    return id;
}

/* Only the very same request is one: another device may use the same keys, and the same
 * device other ones after it lost count. */
static void a_repeated_request_is_found_while_it_waits(void **state)
{
    struct queue *queue = open_queue();
    struct message first = request_of("k-1", "10.0.0.1/api/c", "1");
    assert_int_equal(find_repeated(queue, &first), 0);
    int64_t id = store(queue, &first);
    assert_int_equal(find_repeated(queue, &first), id);
    struct message other = first;
    other.idempotency_key = "k-2";
    assert_int_equal(find_repeated(queue, &other), 0);
    other = first;
    other.topic = "10.0.0.2/api/c";
    assert_int_equal(find_repeated(queue, &other), 0);
    other = first;
    other.payload = "2";
    assert_int_equal(find_repeated(queue, &other), 0);
    other = first;
    other.method = "PUT";
    assert_int_equal(find_repeated(queue, &other), 0);
    const struct message aged = request_of("k-3", "10.0.0.1/api/c", "{\"s\":7,\"age\":90,\"soil\":5}");
    int64_t aged_id = store(queue, &aged);
    const struct message older = request_of("k-3", "10.0.0.1/api/c", "{\"s\":7,\"age\":60090,\"soil\":5}");
    assert_int_equal(find_repeated(queue, &older), aged_id);
    const struct message reading = request_of("k-3", "10.0.0.1/api/c", "{\"s\":7,\"age\":60090,\"soil\":6}");
    assert_int_equal(find_repeated(queue, &reading), 0);
    other = first;
    other.target = "/api/c";
    assert_int_equal(find_repeated(queue, &other), 0);
    other = first;
    other.route = "other";
    assert_int_equal(find_repeated(queue, &other), 0);
    queue_close(queue);
    queue = open_queue();
    assert_int_equal(find_repeated(queue, &first), id);
    assert_int_equal(queue_dead_letter(queue, id, 1, 400, "rejected", "bad", clock_wall_ms()), 0);
    assert_int_equal(find_repeated(queue, &first), 0);
    queue_close(queue);
}

/* A client that knows no better gives every request the same key. */
static void only_the_latest_under_a_key_are_looked_at(void **state)
{
    enum { LOOKED_AT = 32 };
    struct queue *queue = open_queue();
    struct message message = request_of("k-1", "10.0.0.1/api/c", "0");
    store(queue, &message);
    for (unsigned i = 1; i <= LOOKED_AT; i++) {
        cleanup_free char *payload = xasprintf("%u", i);
        struct message next = request_of("k-1", "10.0.0.1/api/c", payload);
        int64_t id = store(queue, &next);
        assert_int_equal(find_repeated(queue, &next), id);
    }
    assert_int_equal(find_repeated(queue, &message), 0);
    queue_close(queue);
}

/* ---- subscriptions ---- */

struct look {
    const char *filter;
    struct subscription found; /* identifier 0: it is not known */
};

static void look_at(void *context, const struct subscription *subscription)
{
    struct look *look = context;
    if (strcmp(subscription->filter, look->filter) == 0)
        look->found = *subscription;
}

static struct subscription find(struct queue *queue, const char *filter)
{
    struct look look = {.filter = filter};
    assert_int_equal(queue_subscriptions(queue, look_at, &look), 0);
    return look.found;
}

static uint32_t add(struct queue *queue, const char *filter)
{
    assert_int_equal(queue_subscription_add(queue, filter), 0);
    return find(queue, filter).identifier;
}

static void subscriptions_keep_their_identifiers(void **state)
{
    struct queue *queue = open_queue();
    uint32_t a = add(queue, "a/#"), b = add(queue, "b/+");
    assert_true(0 < a && a < b);
    assert_int_equal(add(queue, "b/+"), b);
    assert_int_equal(queue_subscription_grant(queue, "b/+", true), 0);
    queue_close(queue);
    queue = open_queue();
    assert_int_equal(find(queue, "a/#").identifier, a);
    assert_false(find(queue, "a/#").granted);
    assert_int_equal(find(queue, "b/+").identifier, b);
    assert_true(find(queue, "b/+").granted);
    assert_int_equal(queue_subscription_grant(queue, "b/+", false), 0);
    assert_false(find(queue, "b/+").granted);
    queue_close(queue);
}

/* Copies that still wait at the broker carry the identifier of their filter. */
static void an_identifier_is_never_given_twice(void **state)
{
    struct queue *queue = open_queue();
    uint32_t old = add(queue, "old");
    assert_int_equal(queue_subscription_vanish(queue, "old"), 0);
    assert_int_equal(queue_subscription_unsubscribed(queue, "old"), 0);
    uint32_t next = add(queue, "next");
    assert_true(next > old);
    queue_close(queue);

    queue = open_queue(); /* nor after a restart */
    assert_true(find(queue, "old").vanished && find(queue, "old").unsubscribed);
    uint32_t again = add(queue, "old"); /* it comes back as a new one */
    assert_true(again > next);
    assert_false(find(queue, "old").vanished || find(queue, "old").granted ||
                 find(queue, "old").unsubscribed);
    assert_int_equal(queue_subscription_vanish(queue, "never seen"), 0);
    queue_close(queue);
}

static void a_vanished_filter_knows_who_saw_the_same(void **state)
{
    struct queue *queue = open_queue();
    add(queue, "old");
    uint32_t beside = add(queue, "beside");
    assert_int_equal(queue_subscription_vanish(queue, "old"), 0);
    add(queue, "later");
    assert_int_equal(queue_subscription_vanish(queue, "old"), 0); /* it did already */
    assert_int_equal(find(queue, "old").covered_to, beside);
    queue_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(what_was_stored_comes_back_byte_for_byte),
        in_place(what_is_absent_stays_absent),
        in_place(nobody_sees_it_before_the_commit),
        in_place(a_rollback_leaves_nothing_and_uses_no_id_again),
        in_place(a_commit_that_fails_is_rolled_back_and_told),
        in_place(a_trial_leaves_no_trace),
        in_place(ids_are_in_order_of_arrival_over_restarts),
        in_place(keys_are_never_used_twice),
        in_place(a_message_keeps_its_key_over_restarts),
        in_place(a_cloned_database_makes_other_keys),
        in_place(a_message_keeps_the_key_of_its_client),
        in_place(a_repeated_request_is_found_while_it_waits),
        in_place(only_the_latest_under_a_key_are_looked_at),
        in_place(a_scan_gives_ranges_in_order),
        in_place(a_copy_is_what_was_stored_until_someone_changes_it),
        in_place(nothing_is_left_open_between_calls),
        in_place(settled_is_deleted_by_a_commit_of_its_own),
        in_place(a_delivered_row_stays_until_it_is_confirmed),
        in_place(the_next_run_knows_what_was_confirmed),
        in_place(settled_rides_on_the_next_commit),
        in_place(settled_is_deleted_when_it_closes),
        in_place(the_newest_packets_are_known_after_a_restart),
        in_place(what_was_let_go_is_known_until_it_is_confirmed),
        in_place(what_was_noted_as_confirmed_is_not_known_after_a_crash),
        in_place(blame_is_noted_and_kept),
        in_place(the_buried_lie_among_the_dead_whole),
        in_place(subscriptions_keep_their_identifiers),
        in_place(an_identifier_is_never_given_twice),
        in_place(a_vanished_filter_knows_who_saw_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
