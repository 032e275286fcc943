/* Damage in the write-ahead log that SQLite would ignore. */
#include "salvage_place.h"

#include "queue/salvage/wal_check.h"

static void assert_wal_is(const char *reason)
{
    cleanup_free char *found = queue_salvage_check_wal(place.path);
    if (!reason)
        assert_null(found);
    else if (!found || !strstr(found, reason))
        fail_msg("it returned: %s", found ? found : "(nothing)");
}

static const size_t frame_bytes = 24 + PAGE_BYTES;

static void a_sound_log_is_no_damage(void **state)
{
    store_and_die(1, 30);
    assert_wal_is(NULL);
    queue_close(open_queue());
    assert_answer("SELECT count(*) FROM message", "30");
    assert_int_equal(count_files("queue.db.damaged-", false), 0);
}

/* As after a power cut: only the frames that were not synced are torn. */
static void a_torn_end_of_the_log_is_no_damage(void **state)
{
    store_and_die(1, 30);
    read_wal();
    wal_size -= 1000;
    write_wal();
    assert_wal_is(NULL);
    queue_close(open_queue());
    assert_answer("SELECT count(*) FROM message", "29");
    assert_int_equal(count_files("queue.db.damaged-", false), 0);
}

static void a_log_damaged_in_the_middle_keeps_the_later_commits(void **state)
{
    store_and_die(1, 30);
    read_wal();
    size_t frames = (wal_size - 32) / frame_bytes;
    for (int part = 0; part < 3; part++) { /* salts, checksum, page */
        empty_place();
        store_and_die(1, 30);
        read_wal();
        static const size_t parts[] = {9, 17, 3000};
        wal_bytes[32 + (frames / 2) * frame_bytes + parts[part]] ^= 0x40;
        write_wal();
        assert_wal_is("write-ahead log is damaged");
        queue_close(open_queue());
        assert_answer("SELECT count(*), count(DISTINCT payload) FROM message", "30|30");
        assert_int_equal(count_files("queue.db.damaged-", false), 1);
        assert_int_equal(count_files("queue.db.damaged-", true), 1);
    }
}

static void a_log_without_its_header_keeps_its_messages(void **state)
{
    for (int at = 0; at < 32; at += 3) {
        empty_place();
        store_and_die(1, 30);
        read_wal();
        wal_bytes[at] ^= 0x55;
        write_wal();
        assert_wal_is("write-ahead log is damaged");
        queue_close(open_queue());
        assert_answer("SELECT count(*) FROM message", "30");
    }
}

static void the_log_alone_is_enough(void **state)
{
    store_and_die(1, 30);
    assert_int_equal(unlink(place.path), 0);
    assert_wal_is("database is gone");
    queue_close(open_queue());
    assert_answer("SELECT count(*) FROM message", "30");

    empty_place();
    store_and_die(1, 30);
    assert_int_equal(truncate(place.path, 0), 0);
    queue_close(open_queue());
    assert_answer("SELECT count(*) FROM message", "30");
}

static void without_its_log_the_database_is_as_of_the_last_checkpoint(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    queue_close(queue);
    store_and_die(2, 30);
    cleanup_free char *wal = beside("-wal"), *shm = beside("-shm");
    assert_int_equal(unlink(wal), 0);
    unlink(shm);
    queue = open_queue();
    queue_close(queue);
    assert_answer("SELECT count(*) FROM message", "1");
}

static void the_log_of_another_database_is_not_used(void **state)
{
    store_and_die(1, 20); /* the other one */
    read_wal();
    empty_place();
    struct queue *queue = open_queue();
    store_text(queue, "mine", "1");
    store_text(queue, "mine", "2");
    queue_close(queue);
    write_wal();
    assert_wal_is("another database");
    queue_close(open_queue());
    assert_answer("SELECT count(*), max(topic) FROM message", "2|mine");
    assert_int_equal(count_files("queue.db.damaged-", true), 1);
}

static void a_log_of_noise_is_ignored(void **state)
{
    for (unsigned seed = 1; seed <= test_cases(300); seed++) {
        random_state = seed;
        put_template();
        wal_size = chance(3 * PAGE_BYTES);
        for (size_t i = 0; i < wal_size; i++)
            wal_bytes[i] = (uint8_t)chance(256);
        write_wal();
        char *why = queue_salvage_check_wal(place.path);
        assert_null(why);
        salvage();
        assert_int_equal(lost_rows(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_fast_place(a_sound_log_is_no_damage),
        in_fast_place(a_torn_end_of_the_log_is_no_damage),
        in_fast_place(a_log_damaged_in_the_middle_keeps_the_later_commits),
        in_fast_place(a_log_without_its_header_keeps_its_messages),
        in_fast_place(the_log_alone_is_enough),
        in_fast_place(without_its_log_the_database_is_as_of_the_last_checkpoint),
        in_fast_place(the_log_of_another_database_is_not_used),
        in_fast_place(a_log_of_noise_is_ignored),
    };
    return cmocka_run_group_tests(tests, make_template, free_template);
}
