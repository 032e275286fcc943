/* queue_place.h - a queue in a directory of the test's own, and ways to look at
 * it as a person would: by a second connection. */
#ifndef SLUICE_QUEUE_PLACE_H
#define SLUICE_QUEUE_PLACE_H

#include "unit.h"

#include "base/clock.h"
#include "queue/confirm.h"
#include "queue/queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
    char dir[64];
    char path[96];
};

static struct place place;

static inline int make_place(void **state)
{
    snprintf(place.dir, sizeof place.dir, "%s/sluice-queue-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(place.dir))
        return -1;
    snprintf(place.path, sizeof place.path, "%s/queue.db", place.dir);
    return 0;
}

/* With all files that are in it. */
static inline int remove_whole_place(void **state)
{
    DIR *dir = opendir(place.dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    return rmdir(place.dir);
}

static inline int remove_place(void **state)
{
    static const char *const names[] = {"queue.db",      "queue.db-wal",     "queue.db-shm",
                                        "queue.db-lock", "queue.db-reserve", "clone.db",
                                        "clone.db-wal",  "clone.db-shm",     "clone.db-lock"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        cleanup_free char *name = xasprintf("%s/%s", place.dir, names[i]);
        unlink(name);
    }
    return rmdir(place.dir);
}

static inline struct queue *open_queue(void)
{
    struct queue *queue = NULL;
    char *why = NULL;
    int error = queue_open(place.path, &queue, &why);
    if (error != 0)
        fail_msg("queue_open: %s (%s)", strerror(-error), why);
    return queue;
}

/* Works on the queue in a process that ends without closing it. */
static inline void crash_after(void (*work)(struct queue *queue))
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

/* Opening must fail with this error and a text that holds these words. */
static inline void assert_refused(const char *path, int expected, const char *words)
{
    struct queue *const untouched = (struct queue *)&place;
    struct queue *queue = untouched;
    char *why = NULL;
    assert_int_equal(queue_open(path, &queue, &why), expected);
    assert_ptr_equal(queue, untouched);
    assert_non_null(why);
    if (!strstr(why, words) || !strstr(why, path))
        fail_msg("not a helpful text: %s", why);
    free(why);
}

static inline struct message reading(const char *topic, const void *payload, size_t bytes)
{
    return (struct message){.route = "sensor",
                            .topic = topic,
                            .source = "mqtt",
                            .packet_id = 7,
                            .uptime_ms = clock_uptime_ms(),
                            .payload = payload,
                            .payload_bytes = bytes};
}

static inline int64_t append(struct queue *queue, const struct message *message)
{
    int64_t id = 0;
    assert_int_equal(queue_append(queue, message, &id), 0);
    assert_true(id > 0);
    return id;
}

/* Stores one message in a commit of its own. */
static inline int64_t store(struct queue *queue, const struct message *message)
{
    assert_int_equal(queue_begin(queue), 0);
    int64_t id = append(queue, message);
    assert_int_equal(queue_commit(queue), 0);
    return id;
}

static inline int64_t store_text(struct queue *queue, const char *topic, const char *text)
{
    struct message message = reading(topic, text, strlen(text));
    return store(queue, &message);
}

/* Delivered, after its sender learned that it was stored. */
static inline void confirm_and_settle(struct queue *queue, int64_t id)
{
    queue_confirm(queue, id);
    queue_settle(queue, id, true);
}

static inline sqlite3 *look(int flags)
{
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open_v2(place.path, &handle, flags, NULL), SQLITE_OK);
    return handle;
}

static inline void execute(sqlite3 *handle, const char *sql)
{
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
}

/* The rows of a query as lines of columns between bars; NULL columns as "-". */
static inline char *ask_with(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
    char *text = xstrdup("");
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *column = (const char *)sqlite3_column_text(statement, i);
            char *longer = xasprintf("%s%s%s", text, i ? "|" : *text ? "\n" : "", column ? column : "-");
            free(text);
            text = longer;
        }
    }
    assert_int_equal(code, SQLITE_DONE);
    sqlite3_finalize(statement);
    return text;
}

static inline char *ask(const char *sql)
{
    sqlite3 *handle = look(SQLITE_OPEN_READONLY);
    char *text = ask_with(handle, sql);
    sqlite3_close(handle);
    return text;
}

static inline void assert_answer(const char *sql, const char *expected)
{
    cleanup_free char *text = ask(sql);
    assert_string_equal(text, expected);
}

static inline void put_file(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static inline void copy_file(const char *from, const char *to)
{
    static char data[1 << 20];
    FILE *file = fopen(from, "r");
    assert_non_null(file);
    size_t bytes = fread(data, 1, sizeof data, file);
    assert_true(bytes > 0 && bytes < sizeof data);
    fclose(file);
    put_file(to, data, bytes);
}

#define in_place(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

#endif
