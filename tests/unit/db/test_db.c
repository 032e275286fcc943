/* Opening, migrations, locks, and who may read, with real files. */
#include "queue/queue_place.h"

#include "db/schema.h"

#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { NOBODY = 65534 };

/* ---- opening ---- */

static void a_new_database_has_the_newest_schema(void **state)
{
    queue_close(open_queue());
    cleanup_free char *version = xasprintf("%d", schema_migration_count);
    assert_answer("PRAGMA user_version", version);
    assert_answer("PRAGMA journal_mode", "wal");
    queue_close(open_queue()); /* nothing left to migrate */
    assert_answer("PRAGMA user_version", version);
    assert_answer("PRAGMA integrity_check", "ok");
}

static void an_empty_file_becomes_a_database(void **state)
{
    put_file(place.path, "", 0);
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    queue_close(queue);
    assert_answer("SELECT count(*) FROM message", "1");
}

/* A power cut in the middle of the first start. */
static void a_database_without_tables_is_migrated(void **state)
{
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    execute(handle, "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL");
    sqlite3_close(handle);
    queue_close(open_queue());
    assert_answer("SELECT count(*) FROM pending", "0");
}

static void a_newer_database_is_refused_and_left_alone(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    queue_close(queue);
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    cleanup_free char *newer = xasprintf("PRAGMA user_version=%d", schema_migration_count + 1);
    execute(handle, newer);
    sqlite3_close(handle);

    assert_refused(place.path, -EPROTONOSUPPORT, "another version of sluice");
    assert_answer("SELECT topic FROM message", "a");
    assert_answer("SELECT count(*) FROM run", "1");
}

/* Checks the damaged file that was kept, and removes it. */
static void assert_kept_damaged(const void *data, size_t bytes)
{
    cleanup_free char *pattern = xasprintf("%s.damaged-*", place.path);
    cleanup_free char *after = xcalloc(1, bytes + 1);
    glob_t found;
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    FILE *file = fopen(found.gl_pathv[0], "r");
    assert_int_equal(fread(after, 1, bytes + 1, file), bytes);
    fclose(file);
    assert_memory_equal(after, data, bytes);
    unlink(found.gl_pathv[0]);
    globfree(&found);
}

static void a_file_that_is_no_database_is_kept_and_replaced(void **state)
{
    char noise[8192];
    memset(noise, 'x', sizeof noise);
    put_file(place.path, noise, sizeof noise);
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    queue_close(queue);
    assert_answer("SELECT count(*) FROM message", "1");
    assert_kept_damaged(noise, sizeof noise);
}

static void a_directory_in_the_way_is_an_error(void **state)
{
    assert_int_equal(mkdir(place.path, 0700), 0);
    assert_refused(place.path, -EISDIR, "move it away");
    assert_int_equal(rmdir(place.path), 0);
    assert_int_equal(mkfifo(place.path, 0600), 0);
    assert_refused(place.path, -EINVAL, "not a file");
}

static void a_database_of_another_program_is_refused(void **state)
{
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    execute(handle, "CREATE TABLE bookmarks (url TEXT); PRAGMA user_version = 2");
    sqlite3_close(handle);
    assert_refused(place.path, -EEXIST, "another program");
    assert_answer("SELECT name FROM sqlite_schema", "bookmarks");
    assert_answer("PRAGMA journal_mode", "delete"); /* not even that was changed */
}

static void a_missing_directory_is_named(void **state)
{
    cleanup_free char *path = xasprintf("%s/nowhere/queue.db", place.dir);
    assert_refused(path, -ENOENT, "directory");
}

static void two_at_once_are_refused(void **state)
{
    struct queue *queue = open_queue();
    assert_refused(place.path, -EBUSY, "another");
    /* Neither does the failed attempt take away the first one's locks. */
    store_text(queue, "a", "1");
    assert_refused(place.path, -EBUSY, "another");
    queue_close(queue);
    queue_close(open_queue());
}

static void the_files_are_for_owner_and_group(void **state)
{
    static const char *const names[] = {"queue.db", "queue.db-wal", "queue.db-shm"};
    mode_t old = umask(022);
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct stat status;
        cleanup_free char *name = xasprintf("%s/%s", place.dir, names[i]);
        assert_int_equal(stat(name, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0640);
    }
    queue_close(queue);
    umask(old);
}

static void closing_nothing_is_fine(void **state)
{
    queue_close(NULL);
}

/* ---- locks ---- */

static void assert_all_busy(struct queue *queue, int64_t id)
{
    int64_t start_ms = clock_uptime_ms();
    assert_int_equal(queue_begin(queue), -EBUSY);
    assert_int_equal(queue_trial_commit(queue), -EBUSY);
    assert_int_equal(queue_settle_commit(queue, SIZE_MAX), -EBUSY);
    assert_int_equal(queue_blame(queue, id, 1, 409, "x", 0), -EBUSY);
    assert_int_equal(queue_dead_letter(queue, id, 1, 400, "rejected", "x", 0), -EBUSY);
    assert_int_equal(queue_subscription_add(queue, "new/#"), -EBUSY);
    assert_int_equal(queue_subscription_vanish(queue, "old/#"), -EBUSY);
    assert_true(clock_uptime_ms() - start_ms < 200); /* none of them waited */
}

static void it_never_waits_for_a_lock(void **state)
{
    struct queue *queue = open_queue();
    assert_int_equal(queue_subscription_add(queue, "old/#"), 0);
    int64_t delivered = store_text(queue, "a", "1"), id = store_text(queue, "b", "2");
    confirm_and_settle(queue, delivered);
    sqlite3 *other = look(SQLITE_OPEN_READWRITE);
    execute(other, "BEGIN IMMEDIATE");
    assert_all_busy(queue, id);

    struct message message; /* reading goes on meanwhile */
    assert_int_equal(queue_fetch(queue, id, &message), 0);
    queue_fetch_done(queue);
    execute(other, "ROLLBACK");
    sqlite3_close(other);

    assert_int_equal(queue_settled_count(queue), 1); /* nothing was forgotten */
    assert_int_equal(queue_settle_commit(queue, SIZE_MAX), 0);
    store_text(queue, "c", "3");
    assert_answer("SELECT topic, attempts FROM message ORDER BY id", "b|0\nc|0");
    queue_close(queue);
}

static void a_reader_in_the_middle_of_a_query_stops_nobody(void **state)
{
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    sqlite3 *reader = look(SQLITE_OPEN_READONLY);
    execute(reader, "BEGIN");
    cleanup_free char *before = ask_with(reader, "SELECT count(*) FROM message");
    assert_string_equal(before, "1");
    store_text(queue, "b", "2");
    assert_int_equal(queue_trial_commit(queue), 0);
    cleanup_free char *after = ask_with(reader, "SELECT count(*) FROM message");
    assert_string_equal(after, "1"); /* its own moment in time */
    sqlite3_close(reader);
    queue_close(queue);
}

/* ---- other users ---- */

/* A member of the group: may read the directory and the files, and write neither. */
static void become_a_reader(void)
{
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
                           setresuid(NOBODY - 1, NOBODY - 1, NOBODY - 1) != 0))
        _exit(90);
}

static int read_as_another_user(void)
{
    pid_t child = fork();
    if (child == 0) {
        become_a_reader();
        sqlite3 *handle = NULL;
        sqlite3_stmt *statement = NULL;
        if (sqlite3_open_v2(place.path, &handle, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
            _exit(91);
        if (sqlite3_prepare_v2(handle, "SELECT count(*), max(topic) FROM pending", -1, &statement, NULL) !=
            SQLITE_OK)
            _exit(92);
        _exit(sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int(statement, 0) : 93);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void the_group_reads_while_it_runs_and_after(void **state)
{
    if (geteuid() != 0)
        skip(); /* needs another user */
    assert_int_equal(chown(place.dir, 0, NOBODY), 0);
    assert_int_equal(chmod(place.dir, 02750), 0);
    struct queue *queue = open_queue();
    store_text(queue, "a", "1");
    store_text(queue, "b", "2");
    assert_int_equal(read_as_another_user(), 2);
    queue_close(queue);
    assert_int_equal(read_as_another_user(), 2);

    pid_t child = fork(); /* and after a crash: nothing is closed in order */
    if (child == 0) {
        store_text(open_queue(), "c", "3");
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(read_as_another_user(), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(a_new_database_has_the_newest_schema),
        in_place(an_empty_file_becomes_a_database),
        in_place(a_database_without_tables_is_migrated),
        in_place(a_newer_database_is_refused_and_left_alone),
        in_place(a_file_that_is_no_database_is_kept_and_replaced),
        in_place(a_directory_in_the_way_is_an_error),
        in_place(a_database_of_another_program_is_refused),
        in_place(a_missing_directory_is_named),
        in_place(two_at_once_are_refused),
        in_place(the_files_are_for_owner_and_group),
        cmocka_unit_test(closing_nothing_is_fine),
        in_place(it_never_waits_for_a_lock),
        in_place(a_reader_in_the_middle_of_a_query_stops_nobody),
        in_place(the_group_reads_while_it_runs_and_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
