/* Storing messages: transactions, ids, keys. */
#include "queue/queue_place.h"

#include <signal.h>
#include <sys/resource.h>

static void nobody_sees_a_message_before_the_commit(void **state)
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
static void a_failed_commit_is_rolled_back_and_reported(void **state)
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
static void only_the_latest_requests_with_a_key_are_compared(void **state)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(nobody_sees_a_message_before_the_commit),
        in_place(a_rollback_leaves_nothing_and_uses_no_id_again),
        in_place(a_failed_commit_is_rolled_back_and_reported),
        in_place(a_trial_leaves_no_trace),
        in_place(ids_are_in_order_of_arrival_over_restarts),
        in_place(keys_are_never_used_twice),
        in_place(a_message_keeps_its_key_over_restarts),
        in_place(a_cloned_database_makes_other_keys),
        in_place(a_message_keeps_the_key_of_its_client),
        in_place(a_repeated_request_is_found_while_it_waits),
        in_place(only_the_latest_requests_with_a_key_are_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
