/* test_queue_clock.c - the times of messages, and their repair. The clock comes as
 * an argument, and another boot by a change of the rows of the last one. */
#include "queue/queue_place.h"

#include "queue/clock.h"

/* 2026-11-22, and what a Raspberry Pi believes before it learned that. */
static const struct clock_epoch right = {.ms = INT64_C(1795368796000), .synchronised = true};
static const struct clock_epoch wrong = {.ms = INT64_C(1700000000000)};

static struct clock_epoch by(const struct clock_epoch *epoch, int64_t ms)
{
    struct clock_epoch moved = *epoch;
    moved.ms += ms;
    return moved;
}

/* Gives the current run this epoch, as if it had begun with it. */
static void begin_with(struct queue *queue, const struct clock_epoch *epoch)
{
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    cleanup_free char *sql = xasprintf("UPDATE run SET epoch_ms = %lld, synchronised = %d WHERE id = %lld",
                                       (long long)epoch->ms, epoch->synchronised, (long long)queue->run);
    execute(handle, sql);
    sqlite3_close(handle);
    queue->clock.epoch = *epoch;
    queue->known_run.id = 0;
}

static struct queue *open_with(const struct clock_epoch *epoch)
{
    struct queue *queue = open_queue();
    begin_with(queue, epoch);
    return queue;
}

/* As a restart does, whatever the clock of the machine is that runs the tests. */
static void begin_again(struct queue *queue, const struct clock_epoch *epoch)
{
    struct run_clock next;
    assert_int_equal(db_begin(&queue->db, DB_SYNC), 0);
    assert_int_equal(queue_drained_save(queue, true), 0);
    assert_int_equal(queue_run_start(queue, epoch, &next), 0);
    assert_int_equal(db_commit(&queue->db), 0);
    queue->clock = next;
    queue->run = next.run;
    queue->known_run.id = 0;
}

/* The machine boots: the runs of now are of an earlier boot. */
static void reboot(void)
{
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    execute(handle, "UPDATE run SET boot_id = 'earlier'");
    sqlite3_close(handle);
}

static struct message fetch(struct queue *queue, int64_t id)
{
    struct message message;
    assert_int_equal(queue_fetch(queue, id, &message), 0);
    queue_fetch_done(queue);
    return message; /* its texts are gone */
}

static void assert_time(struct queue *queue, int64_t id, const struct clock_epoch *epoch)
{
    struct message message = fetch(queue, id);
    assert_int_equal(message.received_ms - message.uptime_ms, epoch->ms);
    assert_int_equal(message.clock_synchronised, epoch->synchronised);
}

static int64_t store_late(struct queue *queue)
{
    struct message message = reading("garden/x/sensor", "1", 1);
    message.late = true;
    return store(queue, &message);
}

/* ---- repair ---- */

static void the_time_comes_after_the_message(void **state)
{
    struct queue *queue = open_with(&wrong);
    int64_t before = store_text(queue, "garden/x/sensor", "1");
    assert_time(queue, before, &wrong);
    assert_false(queue_clock_is_right(queue));
    uint64_t edition = queue->edition;
    assert_int_equal(queue_clock_set(queue, &right), 0);
    assert_time(queue, before, &right);
    assert_true(queue_clock_is_right(queue));
    assert_in_range(queue_now_ms(queue) - right.ms - clock_uptime_ms() + 1000, 0, 1000);
    assert_true(queue->edition > edition); /* copies were made before */
    assert_time(queue, store_text(queue, "garden/x/sensor", "2"), &right);
    queue_close(queue);
    assert_answer("SELECT count(*) FROM run", "1");
}

static void copies_have_the_right_time_too(void **state)
{
    struct queue *queue = open_with(&wrong);
    int64_t id = store_text(queue, "garden/x/sensor", "1");
    struct message message;
    struct queue_copy *copy = queue_copy(queue, id);
    assert_int_equal(queue_copied(queue, copy, &message), 0);
    assert_int_equal(queue_clock_set(queue, &right), 0);
    int result = queue_copied(queue, copy, &message);
    assert_true(result == -ESTALE || (result == 0 && message.received_ms == right.ms + message.uptime_ms));
    free(copy);
    queue_close(queue);
}

/* sluice was killed twice before NTP came. */
static void all_runs_of_this_boot_are_repaired(void **state)
{
    struct queue *queue = open_with(&wrong);
    int64_t first = store_text(queue, "garden/x/sensor", "1");
    struct clock_epoch other = by(&wrong, 7000);
    begin_again(queue, &other);
    int64_t second = store_text(queue, "garden/x/sensor", "2");
    assert_int_equal(queue_dead_letter(queue, second, 1, 400, "rejected", NULL, 0), 0);
    begin_again(queue, &wrong);
    int64_t third = store_text(queue, "garden/x/sensor", "3");
    assert_int_equal(queue_clock_set(queue, &right), 0);
    assert_time(queue, first, &right);
    assert_time(queue, third, &right);
    queue_close(queue);
    cleanup_free char *epochs = xasprintf("3|%lld", (long long)right.ms);
    assert_answer("SELECT count(*), epoch_ms FROM run WHERE synchronised GROUP BY epoch_ms", epochs);
}

static void an_earlier_boot_keeps_its_doubts(void **state)
{
    struct queue *queue = open_with(&wrong);
    int64_t earlier = store_text(queue, "garden/x/sensor", "1");
    queue_close(queue);
    reboot();
    queue = open_with(&wrong);
    int64_t now = store_text(queue, "garden/x/sensor", "2");
    assert_int_equal(queue_clock_set(queue, &right), 0);
    assert_time(queue, earlier, &wrong);
    assert_false(fetch(queue, earlier).this_boot);
    assert_time(queue, now, &right);
    queue_close(queue);
}

/* NTP came while sluice was down. */
static void a_start_repairs_the_runs_before(void **state)
{
    struct queue *queue = open_with(&wrong);
    int64_t id = store_text(queue, "garden/x/sensor", "1");
    begin_again(queue, &right);
    assert_time(queue, id, &right);
    assert_time(queue, store_text(queue, "garden/x/sensor", "2"), &right);
    queue_close(queue);
}

/* ---- right times stay right ---- */

static void a_clock_set_by_hand_changes_nothing(void **state)
{
    struct queue *queue = open_with(&right);
    int64_t id = store_text(queue, "garden/x/sensor", "1");
    assert_int_equal(queue_clock_set(queue, &wrong), 0); /* backwards; the kernel takes its word back */
    struct clock_epoch ahead = {.ms = right.ms + 86400000};
    assert_int_equal(queue_clock_set(queue, &ahead), 0);
    assert_time(queue, id, &right);
    assert_time(queue, store_text(queue, "garden/x/sensor", "2"), &right);
    assert_true(queue_clock_is_right(queue));
    assert_int_equal(queue_clock_set(queue, &right), 0); /* and an NTP daemon sets it back */
    assert_time(queue, id, &right);
    queue_close(queue);
    assert_answer("SELECT count(*) FROM run", "1");
}

static void a_restart_does_not_forget_the_time(void **state)
{
    struct queue *queue = open_with(&right);
    begin_again(queue, &wrong);
    assert_time(queue, store_text(queue, "garden/x/sensor", "1"), &right);
    reboot();
    begin_again(queue, &wrong); /* but the epoch of another boot does not count */
    assert_time(queue, store_text(queue, "garden/x/sensor", "2"), &wrong);
    queue_close(queue);
}

/* A virtual machine was paused for an hour, and NTP sets its clock. */
static void a_step_from_right_to_right_begins_another_run(void **state)
{
    struct queue *queue = open_with(&right);
    queue_drained_set(queue, 5000);
    int64_t before = store_text(queue, "garden/x/sensor", "1");
    cleanup_free char *key = xstrdup(fetch(queue, before).key);
    struct clock_epoch later = by(&right, 3600000);
    assert_int_equal(queue_clock_set(queue, &later), 0);
    int64_t after = store_late(queue);
    assert_true(after > before);
    assert_time(queue, before, &right);
    assert_time(queue, after, &later);
    assert_string_equal(fetch(queue, before).key, key);
    assert_string_not_equal(fetch(queue, after).key, key);
    /* What is late since before the step is so by the clock of that time. */
    assert_int_equal(fetch(queue, after).late_since_ms, right.ms + 5000);
    queue_confirm(queue, after);
    queue_close(queue);
    assert_answer("SELECT count(*), max(confirmed_id) FROM run", "2|2");
}

static void small_steps_add_up(void **state)
{
    struct queue *queue = open_with(&right);
    int64_t runs = queue->run;
    struct clock_epoch near = by(&right, 400), far = by(&right, 800);
    assert_int_equal(queue_clock_set(queue, &near), 0);
    assert_int_equal(queue->run, runs);
    assert_int_equal(queue_clock_set(queue, &far), 0);
    assert_int_not_equal(queue->run, runs);
    queue_close(queue);
}

static void a_message_after_a_step_has_the_key_that_was_reported(void **state)
{
    struct queue *queue = open_with(&right);
    struct clock_epoch stepped = by(&right, 3600 * 1000);
    assert_int_equal(queue_clock_set(queue, &stepped), 0);
    int64_t id = store_text(queue, "garden/x/sensor", "1");
    char key[MESSAGE_KEY_BYTES];
    queue_key(queue, id, key);
    assert_string_equal(key, fetch(queue, id).key);
    queue_close(queue);
}

/* clock = trust: nothing shows that the time before the step was right. */
static void a_trusted_clock_repairs_all(void **state)
{
    struct clock_epoch early = {.ms = wrong.ms, .synchronised = true, .trusted = true};
    struct clock_epoch late = {.ms = right.ms, .synchronised = true, .trusted = true};
    struct queue *queue = open_with(&early);
    int64_t id = store_text(queue, "garden/x/sensor", "1");
    assert_int_equal(queue_clock_set(queue, &late), 0);
    assert_time(queue, id, &right);
    queue_close(queue);
    assert_answer("SELECT count(*) FROM run", "1");
}

static void a_locked_database_is_repaired_later(void **state)
{
    struct queue *queue = open_with(&wrong);
    int64_t id = store_text(queue, "garden/x/sensor", "1");
    sqlite3 *other = look(SQLITE_OPEN_READWRITE);
    execute(other, "BEGIN IMMEDIATE");
    assert_int_equal(queue_clock_set(queue, &right), -EBUSY);
    assert_false(queue_clock_is_right(queue));
    execute(other, "ROLLBACK");
    sqlite3_close(other);
    assert_int_equal(queue_clock_set(queue, &right), 0);
    assert_time(queue, id, &right);
    queue_close(queue);
}

/* ---- late ---- */

static void late_is_repaired_with_its_run(void **state)
{
    struct queue *queue = open_with(&wrong);
    queue_drained_set(queue, 5000);
    int64_t id = store_late(queue), on_time = store_text(queue, "garden/x/sensor", "2");
    assert_true(fetch(queue, id).late);
    assert_int_equal(fetch(queue, id).late_since_ms, wrong.ms + 5000);
    assert_false(fetch(queue, on_time).late);
    assert_int_equal(queue_clock_set(queue, &right), 0);
    assert_int_equal(fetch(queue, id).late_since_ms, right.ms + 5000);
    queue_close(queue);
}

static void the_bound_outlives_a_restart(void **state)
{
    struct queue *queue = open_with(&right);
    queue_drained_set(queue, 5000);
    begin_again(queue, &wrong);
    assert_int_equal(fetch(queue, store_late(queue)).late_since_ms, right.ms + 5000);
    queue_drained_set(queue, 6000);
    queue_close(queue);
    assert_answer("SELECT drained_ms FROM run ORDER BY id DESC LIMIT 1", "6000");
}

/* Nothing is known: the bound is 1970. */
static void the_first_run_knows_no_bound(void **state)
{
    struct queue *queue = open_with(&right);
    int64_t id = store_late(queue);
    assert_true(fetch(queue, id).late);
    assert_int_equal(fetch(queue, id).late_since_ms, 0);
    queue_close(queue);
}

static void the_bound_outlives_a_boot(void **state)
{
    struct queue *queue = open_with(&right);
    queue_drained_set(queue, 5000);
    queue_close(queue);
    reboot();
    queue = open_with(&wrong);
    int64_t id = store_late(queue);
    assert_int_equal(fetch(queue, id).late_since_ms, right.ms + 5000);
    queue_close(queue);
    /* A boot that never knew the time leaves no better bound. */
    reboot();
    queue = open_with(&wrong);
    queue_drained_set(queue, 1000);
    queue_close(queue);
    reboot();
    queue = open_with(&wrong);
    id = store_late(queue);
    assert_int_equal(fetch(queue, id).late_since_ms, right.ms + 5000);
    queue_close(queue);
}

/* sluice is killed: the next run knows what was saved with other commits. */
static void the_bound_outlives_a_crash(void **state)
{
    struct queue *queue = open_with(&right);
    queue_drained_set(queue, 5000);
    store_text(queue, "garden/x/sensor", "1");
    assert_answer("SELECT drained_ms FROM run", "5000");
    queue_drained_set(queue, 6000);
    store_text(queue, "garden/x/sensor", "2");
    assert_answer("SELECT drained_ms FROM run", "5000"); /* a page in each commit would be too much */
    queue_drained_set(queue, 5000 + 10 * 60 * 1000);
    store_text(queue, "garden/x/sensor", "3");
    assert_answer("SELECT drained_ms FROM run", "605000");
    queue_close(queue);
}

static void people_see_it(void **state)
{
    struct queue *queue = open_with(&wrong);
    queue_drained_set(queue, 5000);
    store_late(queue);
    int64_t dead = store_late(queue);
    store_text(queue, "garden/x/sensor", "3");
    assert_int_equal(queue_dead_letter(queue, dead, 1, 400, "rejected", NULL, 0), 0);
    assert_answer("SELECT substr(received, 20) FROM pending", " ? (late)\n ?");
    assert_answer("SELECT substr(received, 20) FROM dead", " ? (late)");
    assert_int_equal(queue_clock_set(queue, &right), 0);
    assert_answer("SELECT substr(received, 20) FROM pending", " (late)\n");
    queue_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(the_time_comes_after_the_message),
        in_place(copies_have_the_right_time_too),
        in_place(all_runs_of_this_boot_are_repaired),
        in_place(an_earlier_boot_keeps_its_doubts),
        in_place(a_start_repairs_the_runs_before),
        in_place(a_clock_set_by_hand_changes_nothing),
        in_place(a_restart_does_not_forget_the_time),
        in_place(a_step_from_right_to_right_begins_another_run),
        in_place(small_steps_add_up),
        in_place(a_message_after_a_step_has_the_key_that_was_reported),
        in_place(a_trusted_clock_repairs_all),
        in_place(a_locked_database_is_repaired_later),
        in_place(late_is_repaired_with_its_run),
        in_place(the_bound_outlives_a_restart),
        in_place(the_first_run_knows_no_bound),
        in_place(the_bound_outlives_a_boot),
        in_place(the_bound_outlives_a_crash),
        in_place(people_see_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
