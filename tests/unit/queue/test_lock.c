/* test_queue_meeting.c - where parts of the queue meet: confirmation and the clock,
 * confirmation and dead letters, limits and what is delivered, age and the clock,
 * salvage and runs. */
#include "queue/queue_place.h"

#include "queue/clock.h"

#include <dirent.h>
#include <sys/wait.h>

/* Works on the queue in a process that ends without closing it. */
static void crash_after(void (*work)(struct queue *queue))
{
    pid_t child = fork();
    if (child == 0) {
        work(open_queue());
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void count_packet(void *context, int64_t id, uint16_t packet_id, uint64_t digest)
{
    ++*(unsigned *)context;
}

static unsigned known(struct queue *queue)
{
    unsigned count = 0;
    assert_int_equal(queue_unconfirmed_each(queue, 65535, count_packet, &count), 0);
    return count;
}

static void confirm_then_step(struct queue *queue)
{
    queue->clock.epoch.synchronised = true;
    for (int i = 0; i < 10; i++)
        store_text(queue, "t", "1");
    queue_confirm(queue, 10);
    assert_int_equal(queue_confirmed_save(queue), 0);
    struct clock_epoch now = queue->clock.epoch;
    now.ms += 3600 * 1000;
    assert_int_equal(queue_clock_set(queue, &now), 0);
    assert_int_equal(queue_confirmed_save(queue), 0); /* as a reconnect does */
}

static void a_step_of_the_clock_forgets_no_confirmation(void **state)
{
    crash_after(confirm_then_step);
    struct queue *queue = open_queue();
    assert_int_equal(queue_confirmed_id(queue), 10);
    assert_int_equal(known(queue), 0);
    queue_close(queue);
}

static void confirm_and_wait(struct queue *queue)
{
    struct config_queue limits = {.max_size = INT64_C(1) << 40};
    queue_limit(queue, &limits);
    store_text(queue, "t", "its backend is away");
    queue_confirm(queue, 1);
    queue_upkeep(queue, true);
}

static void what_waits_for_long_is_known_to_be_confirmed(void **state)
{
    crash_after(confirm_and_wait);
    struct queue *queue = open_queue();
    assert_int_equal(known(queue), 0);
    queue_close(queue);
}

static void a_confirmed_dead_letter_is_not_awaited_again(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "t", "keep");
    int64_t id = store_text(queue, "t", "1");
    queue_confirm(queue, id);
    assert_int_equal(queue_dead_letter(queue, id, 10, 400, "rejected", "no", 1), 0);
    queue_close(queue);
    queue = open_queue();
    assert_int_equal(queue_confirmed_id(queue), id);
    assert_int_equal(known(queue), 0);
    queue_close(queue);
}

/* A Pi boots with a wrong clock, and looks at its queue before NTP came. */
static void age_is_judged_again_when_the_clock_is_right(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "t", "1");
    store_text(queue, "t", "2");
    queue_close(queue);
    sqlite3 *boot = look(SQLITE_OPEN_READWRITE);
    execute(boot, "UPDATE run SET boot_id = 'earlier', synchronised = 1, epoch_ms = 1000");
    sqlite3_close(boot);

    queue = open_queue();
    struct config_queue limits = {.max_size = INT64_C(1) << 40, .max_age_ms = 60000};
    queue_limit(queue, &limits);
    queue->clock.epoch = (struct clock_epoch){.ms = 1};
    boot = look(SQLITE_OPEN_READWRITE);
    execute(boot, "UPDATE run SET synchronised = 0 WHERE id = (SELECT max(id) FROM run)");
    sqlite3_close(boot);
    queue_upkeep(queue, true);
    assert_int_equal(queue_dropped(queue), 0);
    struct clock_epoch now = {.ms = clock_wall_ms() - clock_uptime_ms(), .synchronised = true};
    assert_int_equal(queue_clock_set(queue, &now), 0);
    for (int i = 0; i < 5; i++)
        queue_upkeep(queue, true);
    assert_int_equal(queue_dropped(queue), 2);
    queue_close(queue);
}

/* Twenty rows, ten of them delivered, and a limit that leaves room for fifteen. */
static void nothing_is_dropped_while_the_delivered_make_room(void **state)
{
    for (int first = 1; first <= 11; first += 10) {
        struct queue *queue = open_queue();
        int64_t start = 0;
        for (int i = 0; i < 20; i++) {
            int64_t id = store_text(queue, "t", "1");
            start = i == 0 ? id : start;
        }
        for (int i = 0; i < 10; i++)
            queue_settle(queue, start + first - 1 + i, true);
        struct config_queue limits = {
            .max_size = INT64_C(1) << 40, .max_messages = 15, .when_full = CONFIG_FULL_DROP_OLDEST};
        queue_limit(queue, &limits);
        queue_upkeep(queue, true);
        assert_int_equal(queue_dropped(queue), 0);
        assert_answer("SELECT count(*) FROM message", "10");
        queue_close(queue);
        sqlite3 *empty = look(SQLITE_OPEN_READWRITE);
        execute(empty, "DELETE FROM message");
        sqlite3_close(empty);
    }
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

static unsigned set_aside(void)
{
    unsigned count = 0;
    DIR *dir = opendir(place.dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += strstr(entry->d_name, ".damaged-") && !strstr(entry->d_name, "-wal");
    closedir(dir);
    return count;
}

static void fetch_all(struct queue *queue)
{
    struct message message;
    for (int64_t id = 1; id <= 8; id++)
        if (queue_fetch(queue, id, &message) == 0)
            queue_fetch_done(queue);
}

/* One flipped bit must not cost a copy of the database with every look at it. */
static void a_run_that_never_was_is_salvaged_once(void **state)
{
    for (int i = 0; i < 9; i++) {
        struct queue *queue = open_queue();
        for (int j = 0; i > 4 && j < 2; j++)
            store_text(queue, "t", "1");
        queue_close(queue);
    }
    sqlite3 *bit = look(SQLITE_OPEN_READWRITE);
    execute(bit, "UPDATE message SET run = run | 64 WHERE id = 6");
    sqlite3_close(bit);

    struct queue *queue = open_queue();
    fetch_all(queue);
    assert_true(queue_is_damaged(queue));
    char *why = NULL;
    assert_int_equal(queue_reopen(queue, NULL, NULL, &why), 0);
    fetch_all(queue);
    assert_false(queue_is_damaged(queue));
    queue_close(queue);
    queue = open_queue();
    fetch_all(queue);
    assert_false(queue_is_damaged(queue));
    queue_close(queue);
    assert_int_equal(set_aside(), 1);
    assert_answer("SELECT count(*) FROM message", "8");
}

static int remove_all(void **state)
{
    DIR *dir = opendir(place.dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    return rmdir(place.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_step_of_the_clock_forgets_no_confirmation, make_place, remove_all),
        cmocka_unit_test_setup_teardown(what_waits_for_long_is_known_to_be_confirmed, make_place, remove_all),
        cmocka_unit_test_setup_teardown(a_confirmed_dead_letter_is_not_awaited_again, make_place, remove_all),
        cmocka_unit_test_setup_teardown(age_is_judged_again_when_the_clock_is_right, make_place, remove_all),
        cmocka_unit_test_setup_teardown(nothing_is_dropped_while_the_delivered_make_room, make_place,
                                        remove_all),
        cmocka_unit_test_setup_teardown(a_long_topic_is_not_copied, make_place, remove_all),
        cmocka_unit_test_setup_teardown(a_run_that_never_was_is_salvaged_once, make_place, remove_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
