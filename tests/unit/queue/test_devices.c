/* What the queue remembers of devices. */
#include "queue/queue_place.h"

#include <limits.h>

static const struct device some = {
    .lives = {{.boot = UINT32_MAX, .up_to = 17, .ahead = UINT64_C(0x8000000000000002)},
              {.boot = 5, .up_to = UINT32_MAX, .ahead = 0},
              {.boot = 0, .up_to = 0, .ahead = 6}},
    .life_count = 3,
    .first = 2,
    .begun = 9,
    .stored = 1000,
    .lost = 3,
};

static int64_t silent_ms;

static void save(struct queue *queue, const struct device *device)
{
    assert_int_equal(queue_begin(queue), 0);
    assert_int_equal(queue_device_save(queue, "garden/a/ack", "sensor", device), 0);
    assert_int_equal(queue_commit(queue), 0);
}

static void a_device_is_read_as_it_was_saved(void **state)
{
    struct queue *queue = open_queue();
    struct device device = {0};
    assert_int_equal(queue_device(queue, "garden/a/ack", &device, &silent_ms), -ENOENT);
    save(queue, &some);
    queue_close(queue);
    queue = open_queue();
    assert_int_equal(queue_device(queue, "garden/a/ack", &device, &silent_ms), 0);
    assert_memory_equal(&device, &some, sizeof device);
    assert_int_equal(queue_device(queue, "garden/b/ack", &device, &silent_ms), -ENOENT);
    queue_close(queue);
}

static void the_view_is_for_people(void **state)
{
    struct queue *queue = open_queue();
    save(queue, &some);
    assert_answer(
        "SELECT group_concat(name, ' ') FROM pragma_table_info('device')",
        "device route last_seen boot acknowledged gaps stored lost restarts shared since unknown_before");
    assert_answer("SELECT device, route, boot, acknowledged, gaps, stored, lost, restarts, unknown_before"
                  " FROM device",
                  "garden/a/ack|sensor|4294967295|17|62|1000|3|8|1");
    assert_answer("SELECT last_seen = since AND since > '2020' FROM device", "1");
    queue_close(queue);
}

/* The same transaction: it is rolled back with what it was about. */
static void a_rollback_forgets_it(void **state)
{
    struct queue *queue = open_queue();
    struct device device;
    save(queue, &some);
    assert_int_equal(queue_begin(queue), 0);
    struct device other = some;
    other.stored++;
    assert_int_equal(queue_device_save(queue, "garden/a/ack", "sensor", &other), 0);
    queue_rollback(queue);
    assert_int_equal(queue_device(queue, "garden/a/ack", &device, &silent_ms), 0);
    assert_memory_equal(&device, &some, sizeof device);
    queue_close(queue);
}

static void it_outlives_its_messages(void **state)
{
    struct queue *queue = open_queue();
    struct message message = reading("garden/a/sensor", "{}", 2);
    assert_int_equal(queue_begin(queue), 0);
    int64_t id = append(queue, &message);
    assert_int_equal(queue_device_save(queue, "garden/a/ack", "sensor", &some), 0);
    assert_int_equal(queue_commit(queue), 0);
    queue_confirm(queue, id);
    queue_settle(queue, id, true);
    assert_int_equal(queue_settle_commit(queue, SIZE_MAX), 0);
    assert_answer("SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM device)", "0|1");
    queue_close(queue);
}

static void only_so_many_are_remembered(void **state)
{
    struct queue *queue = open_queue();
    save(queue, &some);
    sqlite3 *other = look(SQLITE_OPEN_READWRITE);
    execute(other,
            "WITH n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10001)"
            " INSERT INTO device_state SELECT 'other/' || n, route, boot, up_to, ahead, gaps, earlier, lives,"
            " first, stored, lost, since_ms, n, speaker, steady, returns FROM n, device_state");
    sqlite3_close(other);
    assert_int_equal(queue_begin(queue), 0);
    assert_int_equal(queue_devices_prune(queue), 0);
    assert_int_equal(queue_device_save(queue, "garden/a/ack", "sensor", &some), 0);
    assert_int_equal(queue_commit(queue), 0);
    assert_answer("SELECT count(*), min(last_ms) FROM device_state",
                  "10000|3"); /* the others were silent longer */
    queue_close(queue);
}

#define in_place(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(a_device_is_read_as_it_was_saved),
        in_place(the_view_is_for_people),
        in_place(a_rollback_forgets_it),
        in_place(it_outlives_its_messages),
        in_place(only_so_many_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
