/* Failures of single messages, and dead letters. */
#include "queue/queue_place.h"

#define HISTORY                                                                                              \
    "{\"number\":1,\"time\":1000,\"event\":\"failed\",\"attempt\":3,\"status\":409,\"error\":\"conflict\"}"  \
    "\n"                                                                                                     \
    "{\"number\":2,\"time\":2000,\"event\":\"failed\",\"attempt\":4}"

static void a_failure_is_stored_and_kept(void **state)
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
                          "\"error\":\"no\"}");
    queue_close(queue);
}

static void a_dead_letter_has_all_of_the_message(void **state)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(a_failure_is_stored_and_kept),
        in_place(a_dead_letter_has_all_of_the_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
