/* salvage_place.h - a queue to damage, in memory where possible, because thousands are
 * made; and the rows that must be copied from it. */
#ifndef SLUICE_SALVAGE_PLACE_H
#define SLUICE_SALVAGE_PLACE_H

#include "queue/queue_place.h"

#include "queue/salvage/internal.h"
#include "queue/salvage/salvage.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
    ROWS = 400,           /* messages in the template */
    LAST_DELIVERED = 150, /* their ids begin with 1 */
    DEAD = 12,            /* dead letters */
    FILE_MOST = 1 << 20,
};

/* The template: a database file, and each of its rows as a line, by id. */
static uint8_t file_bytes[FILE_MOST];
static size_t file_size;
static char *rows[ROWS + 1];
/* Each page, by number, as SQLite describes it. */
static struct {
    bool message_leaf, overflow, last_overflow;
    unsigned rows;
} layout[FILE_MOST / PAGE_BYTES + 1];

/* ---- chance ---- */

static uint32_t random_state;

static inline uint32_t chance(uint32_t below)
{
    random_state = random_state * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)random_state * below) >> 32);
}

static inline void flip(uint8_t *data, size_t bytes)
{
    unsigned flips = 1 + chance(chance(4) == 0 ? 400 : 12);
    for (unsigned i = 0; i < flips; i++) {
        size_t at = chance((uint32_t)bytes);
        if (chance(3) == 0) /* where SQLite keeps the structure of a page */
            at = at / PAGE_BYTES * PAGE_BYTES + chance(40);
        data[at] = chance(2) ? (uint8_t)chance(256) : data[at] ^ (uint8_t)(1u << chance(8));
    }
}

/* ---- files ---- */

static inline char *beside(const char *suffix)
{
    return xasprintf("%s%s", place.path, suffix);
}

static inline size_t get_file(const char *path, uint8_t *data, size_t most)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    size_t bytes = fread(data, 1, most, file);
    fclose(file);
    return bytes;
}

static inline int make_fast_place(void **state)
{
    snprintf(place.dir, sizeof place.dir, "%s/sluice-salvage-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(place.dir))
        return -1;
    snprintf(place.path, sizeof place.path, "%s/queue.db", place.dir);
    return 0;
}

static inline void empty_place(void)
{
    DIR *directory = opendir(place.dir);
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        cleanup_free char *name = xasprintf("%s/%s", place.dir, entry->d_name);
        unlink(name);
    }
    closedir(directory);
}

static inline int remove_fast_place(void **state)
{
    empty_place();
    return rmdir(place.dir);
}

/* How many files begin with this; logs: only those that end in -wal, otherwise only the
 * others. */
static inline unsigned count_files(const char *start, bool logs)
{
    unsigned count = 0;
    DIR *directory = opendir(place.dir);
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        size_t bytes = strlen(entry->d_name);
        bool is_log = bytes > 4 && strcmp(entry->d_name + bytes - 4, "-wal") == 0;
        count += strncmp(entry->d_name, start, strlen(start)) == 0 && is_log == logs;
    }
    closedir(directory);
    return count;
}

static inline void put_template(void)
{
    empty_place();
    put_file(place.path, file_bytes, file_size);
}

/* Stores messages, each in a commit of its own, in a process that is then killed: so
 * nothing of the log is copied into the database. */
static inline void store_and_die(int from, int to)
{
    pid_t child = fork();
    if (child == 0) {
        struct queue *queue = open_queue();
        for (int i = from; i <= to; i++) {
            cleanup_free char *text = xasprintf("text %d", i);
            store_text(queue, "a", text);
        }
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* ---- the write-ahead log ---- */

static uint8_t wal_bytes[FILE_MOST];
static size_t wal_size;

static inline void read_wal(void)
{
    cleanup_free char *path = beside("-wal");
    wal_size = get_file(path, wal_bytes, FILE_MOST);
    assert_true(wal_size > 32 && wal_size < FILE_MOST);
}

static inline void write_wal(void)
{
    cleanup_free char *path = beside("-wal");
    put_file(path, wal_bytes, wal_size);
}

/* ---- rows ---- */

typedef void row_fn(int64_t id, const char *text);

static inline unsigned each_row(row_fn *call)
{
    static const char sql[] =
        "SELECT m.id, r.token || '-' || m.id || ' ' || m.route || ' ' || m.topic || ' ' || m.uptime_ms || ' '"
        " || coalesce(m.packet_id, '-') || ' ' || m.attempts || ' ' || coalesce(m.history, '-') || ' '"
        " || hex(m.payload)"
        " FROM message AS m JOIN run AS r ON r.id = m.run"
        " UNION ALL SELECT d.id, 'dead ' || r.token || '-' || d.id || ' ' || d.reason || ' ' || d.last_error"
        " || ' ' || d.history || ' ' || hex(d.payload) FROM dead_letter AS d JOIN run AS r ON r.id = d.run";
    unsigned count = 0;
    sqlite3 *handle = look(SQLITE_OPEN_READONLY);
    sqlite3_stmt *row = NULL;
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &row, NULL), SQLITE_OK);
    int code;
    for (; (code = sqlite3_step(row)) == SQLITE_ROW; count++)
        call(sqlite3_column_int64(row, 0), (const char *)sqlite3_column_text(row, 1));
    assert_int_equal(code, SQLITE_DONE);
    sqlite3_finalize(row);
    sqlite3_close(handle);
    return count;
}

static inline void check_row(int64_t id, const char *text)
{
    if (id < 1 || id > ROWS || !rows[id] || strcmp(rows[id], text) != 0)
        fail_msg("message %lld was copied as %.120s", (long long)id, text);
}

static inline void salvage(void)
{
    char *why = NULL;
    if (queue_salvage(place.path, &why) != 0)
        fail_msg("%s", why);
}

/* Every row that was copied must be unchanged, and not delivered. Returns how many rows
 * are missing. */
static inline unsigned lost_rows(void)
{
    return ROWS - LAST_DELIVERED - each_row(check_row);
}

/* ---- the template ---- */

static inline void keep_row(int64_t id, const char *text)
{
    assert_in_range(id, 1, ROWS);
    rows[id] = xstrdup(text);
}

static inline void read_layout(void)
{
    sqlite3 *handle = look(SQLITE_OPEN_READONLY);
    sqlite3_stmt *row = NULL;
    const char *sql = "SELECT pageno, name, pagetype, ncell FROM dbstat";
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &row, NULL), SQLITE_OK);
    while (sqlite3_step(row) == SQLITE_ROW) {
        int page = sqlite3_column_int(row, 0);
        const char *name = (const char *)sqlite3_column_text(row, 1);
        const char *type = (const char *)sqlite3_column_text(row, 2);
        bool ours = strcmp(name, "message") == 0 || strcmp(name, "dead_letter") == 0;
        layout[page].message_leaf = ours && strcmp(type, "leaf") == 0;
        layout[page].overflow = ours && strcmp(type, "overflow") == 0;
        layout[page].last_overflow =
            layout[page].overflow && get4(file_bytes + (size_t)(page - 1) * PAGE_BYTES) == 0;
        layout[page].rows = (unsigned)sqlite3_column_int(row, 3);
    }
    sqlite3_finalize(row);
    sqlite3_close(handle);
}

static inline int64_t store_row(struct queue *queue, int i)
{
    static uint8_t payload[20000];
    size_t bytes = i % 10 == 3 ? 5000 + (size_t)i * 30 : (size_t)(i * 37 % 300);
    for (size_t j = 0; j < bytes; j++)
        payload[j] = (uint8_t)(i + (int)j * 7);
    cleanup_free char *topic = xasprintf("garden/bed-%d/sensor", i);
    struct message message = reading(topic, payload, bytes);
    message.packet_id = i;
    return append(queue, &message);
}

static inline void save_device(struct queue *queue, const char *name, uint64_t stored)
{
    const struct device device = {.lives = {{.boot = 7, .up_to = (uint32_t)stored}, {.boot = 5, .ahead = 2}},
                                  .life_count = 2,
                                  .begun = 2,
                                  .stored = stored};
    assert_int_equal(queue_begin(queue), 0);
    assert_int_equal(queue_device_save(queue, name, "sensor", &device), 0);
    assert_int_equal(queue_commit(queue), 0);
}

static inline void fill(struct queue *queue)
{
    assert_int_equal(queue_begin(queue), 0);
    for (int i = 1; i <= ROWS; i++)
        store_row(queue, i);
    assert_int_equal(queue_commit(queue), 0);
    queue_confirm(queue, ROWS);
    for (int i = 1; i <= LAST_DELIVERED; i++)
        queue_settle(queue, i, true);
    assert_int_equal(queue_settle_commit(queue, SIZE_MAX), 0);
    for (int i = 0; i < DEAD; i++)
        assert_int_equal(queue_dead_letter(queue, ROWS - 10 * i, 3, 400, "rejected", "no", 1000), 0);
    assert_int_equal(queue_blame(queue, ROWS - 1, 4, 500, "why", 1000), 0);
    assert_int_equal(queue_subscription_add(queue, "garden/+/sensor"), 0);
    assert_int_equal(queue_subscription_grant(queue, "garden/+/sensor", true), 0);
    const struct queue_session session = {
        .protocol = 5, .lost_since_ms = 1, .lost_until_ms = 2, .expiry_s = 3, .broker = "localhost:1883"};
    assert_int_equal(queue_session_save(queue, "sluice", &session), 0);
    for (uint64_t stored = 1; stored <= 3; stored++)
        save_device(queue, "garden/a/ack", stored);
}

static inline int make_template(void **state)
{
    if (make_fast_place(state) != 0)
        return -1;
    struct queue *queue = open_queue();
    fill(queue);
    queue_close(queue);
    file_size = get_file(place.path, file_bytes, FILE_MOST);
    assert_true(file_size > 40 * PAGE_BYTES && file_size < FILE_MOST);
    assert_int_equal(each_row(keep_row), ROWS - LAST_DELIVERED);
    read_layout();
    return remove_fast_place(state);
}

static inline int free_template(void **state)
{
    for (int i = 0; i <= ROWS; i++)
        free(rows[i]);
    return 0;
}

#define in_fast_place(test) cmocka_unit_test_setup_teardown(test, make_fast_place, remove_fast_place)

#endif
