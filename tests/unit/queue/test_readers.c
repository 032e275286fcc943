/* A reader that holds the write-ahead log is named, and the log shrinks when it is
 * gone; meanwhile all goes on. */
#include "queue/queue_place.h"

#include "queue/readers.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { MIB = 1024 * 1024 };

/* ---- readers: processes of their own, for locks belong to processes ---- */

struct reader {
    pid_t pid;
    int to, from;
};

static void await(int fd)
{
    char word;
    if (read(fd, &word, 1) != 1)
        _exit(0);
}

/* `select * from pending` in a pager, of which one row was shown. */
static void be_a_reader(int from, int to)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "pager\x1b[2J");
    await(from);
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    sqlite3_open_v2(place.path, &handle, SQLITE_OPEN_READONLY, NULL);
    sqlite3_prepare_v2(handle, "SELECT * FROM pending", -1, &statement, NULL);
    if (sqlite3_step(statement) != SQLITE_ROW || write(to, "", 1) != 1)
        _exit(1);
    await(from);
}

/* Forks, so it comes before the test itself opens the database. */
static struct reader reader_new(void)
{
    int down[2], up[2];
    assert_int_equal(pipe2(down, O_CLOEXEC), 0);
    assert_int_equal(pipe2(up, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(down[1]);
        close(up[0]);
        be_a_reader(down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    return (struct reader){.pid = pid, .to = down[1], .from = up[0]};
}

static void reader_read(struct reader *reader)
{
    char word;
    assert_int_equal(write(reader->to, "", 1), 1);
    assert_int_equal(read(reader->from, &word, 1), 1);
}

static void reader_end(struct reader *reader)
{
    kill(reader->pid, SIGKILL);
    waitpid(reader->pid, NULL, 0);
    close(reader->to);
    close(reader->from);
}

/* ---- the log of the test, and the files ---- */

static int real_stderr;

static void hear_log(void)
{
    cleanup_free char *path = xasprintf("%s/clone.db", place.dir);
    real_stderr = dup(STDERR_FILENO);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    dup2(fd, STDERR_FILENO);
    close(fd);
}

/* What was said since hear_log() or the last call, for the caller to free. */
static char *log_text(void)
{
    cleanup_free char *path = xasprintf("%s/clone.db", place.dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    char *text = xcalloc(1, MIB);
    ssize_t bytes = read(fd, text, MIB - 1);
    assert_true(bytes >= 0);
    assert_int_equal(ftruncate(fd, 0), 0);
    close(fd);
    return text;
}

static void assert_said(const char *words)
{
    cleanup_free char *text = log_text();
    const char *found = strstr(text, words);
    if (!found || strstr(found + 1, words))
        fail_msg("'%s' is not said once: %s", words, text);
}

static void assert_silent(void)
{
    cleanup_free char *text = log_text();
    assert_string_equal(text, "");
}

static int64_t log_bytes(void)
{
    cleanup_free char *path = xasprintf("%s-wal", place.path);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

static void store_mib(struct queue *queue, unsigned mib)
{
    static char payload[MIB / 4];
    for (unsigned i = 0; i < 4 * mib; i++) {
        struct message message = reading("garden/a/sensor", payload, sizeof payload);
        int64_t id = store(queue, &message);
        confirm_and_settle(queue, id);
    }
}

static int leave_place(void **state)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    return remove_place(state);
}

/* ---- tests ---- */

static void a_reader_that_holds_the_log_is_named_once(void **state)
{
    struct reader reader = reader_new();
    struct queue *queue = open_queue();
    store_text(queue, "garden/a/sensor", "1");
    reader_read(&reader);
    hear_log();
    store_mib(queue, 6);
    queue_readers_step(queue);
    assert_silent(); /* not yet worth a word */
    store_mib(queue, 6);
    for (int i = 0; i < 3; i++)
        queue_readers_step(queue);
    assert_true(log_bytes() > 8 * MIB);
    /* Also the name that it gave itself is no danger to a terminal. */
    cleanup_free char *who = xasprintf("pid %d (pager?[2J)", (int)reader.pid);
    assert_said(who);
    queue->readers.reports.reported_ms = clock_uptime_ms() - 3600 * 1000 - 1;
    queue_readers_step(queue);
    queue_readers_step(queue);
    assert_said(who); /* again after an hour */
    reader_end(&reader);
    queue_close(queue);
}

static void the_log_shrinks_when_the_reader_is_gone(void **state)
{
    struct reader reader = reader_new();
    struct queue *queue = open_queue();
    store_text(queue, "garden/a/sensor", "1");
    reader_read(&reader);
    hear_log();
    store_mib(queue, 12);
    queue_readers_step(queue);
    free(log_text());
    reader_end(&reader);
    queue_readers_step(queue); /* without another commit */
    assert_said("wal-released: ");
    assert_true(log_bytes() <= 4 * MIB);
    queue_readers_step(queue);
    assert_silent();
    queue_close(queue);
}

static void every_reader_is_named(void **state)
{
    struct reader readers[2] = {reader_new(), reader_new()};
    struct queue *queue = open_queue();
    store_text(queue, "garden/a/sensor", "1");
    for (int i = 0; i < 2; i++)
        reader_read(&readers[i]);
    hear_log();
    store_mib(queue, 12);
    queue_readers_step(queue);
    cleanup_free char *text = log_text();
    for (int i = 0; i < 2; i++) {
        cleanup_free char *pid = xasprintf("pid %d ", (int)readers[i].pid);
        assert_non_null(strstr(text, pid));
        reader_end(&readers[i]);
    }
    queue_close(queue);
}

static void a_long_log_without_readers_is_none_of_their_fault(void **state)
{
    struct queue *queue = open_queue();
    hear_log();
    assert_int_equal(queue_begin(queue), 0); /* one long transaction */
    static char payload[MIB];
    struct message message = reading("garden/a/sensor", payload, sizeof payload);
    for (int i = 0; i < 12; i++)
        append(queue, &message);
    assert_int_equal(queue_commit(queue), 0);
    assert_true(log_bytes() > 8 * MIB);
    queue_readers_step(queue);
    assert_silent();
    assert_true(log_bytes() <= 4 * MIB);
    queue_close(queue);
}

/* A process that closes any descriptor of a file loses all of its locks on it. */
static bool has_lock_on_shm(void)
{
    cleanup_free char *path = xasprintf("%s-shm", place.path);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    cleanup_free char *lock = xasprintf(":%llu 128 128", (unsigned long long)status.st_ino);
    cleanup_free char *pid = xasprintf(" %d ", (int)getpid());
    FILE *locks = fopen("/proc/locks", "r");
    char line[256];
    bool found = false;
    while (fgets(line, sizeof line, locks))
        found = found || (strstr(line, lock) && strstr(line, pid));
    fclose(locks);
    return found;
}

static void our_own_locks_stay(void **state)
{
    struct reader reader = reader_new();
    struct queue *queue = open_queue();
    store_text(queue, "garden/a/sensor", "1");
    reader_read(&reader);
    hear_log();
    store_mib(queue, 12);
    assert_true(has_lock_on_shm());
    queue_readers_step(queue);
    assert_true(has_lock_on_shm());
    reader_end(&reader);
    queue_close(queue);
}

#define with_readers(test) cmocka_unit_test_setup_teardown(test, make_place, leave_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_readers(a_reader_that_holds_the_log_is_named_once),
        with_readers(the_log_shrinks_when_the_reader_is_gone),
        with_readers(every_reader_is_named),
        with_readers(a_long_log_without_readers_is_none_of_their_fault),
        with_readers(our_own_locks_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
