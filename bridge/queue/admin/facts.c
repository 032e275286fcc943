/* queue/admin/facts.c - what the database alone tells of the queue: for status, also
 * of a daemon that is stopped. Every row is counted, which the daemon itself has no
 * time for. */
#include "message/device.h"
#include "queue/admin/internal.h"

#include <errno.h>
#include <libgen.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

typedef void row_fn(struct cJSON *to, sqlite3_stmt *row);

static int each(struct queue_admin *admin, const char *sql, row_fn *visit, struct cJSON *array)
{
    sqlite3_stmt *statement = NULL;
    int error = queue_admin_prepare(admin, sql, &statement);
    if (error != 0)
        return error;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        visit(status_append(array), statement);
    error = queue_admin_result(admin, code, "read the queue");
    sqlite3_finalize(statement);
    return error;
}

static const char *text_of(sqlite3_stmt *row, int column)
{
    return (const char *)sqlite3_column_text(row, column);
}

static void add_route(struct cJSON *to, sqlite3_stmt *row)
{
    status_add_text(to, STATUS_QUEUE_ROUTE_NAME, text_of(row, 0));
    status_add_number(to, STATUS_QUEUE_ROUTE_WAITING, sqlite3_column_int64(row, 1));
    status_add_time(to, STATUS_QUEUE_ROUTE_OLDEST, sqlite3_column_int64(row, 2));
    status_add_number(to, STATUS_QUEUE_ROUTE_LATE, sqlite3_column_int64(row, 3));
    status_add_number(to, STATUS_QUEUE_ROUTE_RETRIED, sqlite3_column_int64(row, 4));
}

static void add_dead(struct cJSON *to, sqlite3_stmt *row)
{
    status_add_text(to, STATUS_DEAD_ROUTE, text_of(row, 0));
    status_add_text(to, STATUS_DEAD_REASON, text_of(row, 1));
    status_add_number(to, STATUS_DEAD_MESSAGES, sqlite3_column_int64(row, 2));
    status_add_time(to, STATUS_DEAD_LAST, sqlite3_column_int64(row, 3));
}

static void add_dropped(struct cJSON *to, sqlite3_stmt *row)
{
    status_add_text(to, STATUS_DROP_ROUTE, text_of(row, 0));
    status_add_text(to, STATUS_DROP_REASON, text_of(row, 1));
    status_add_number(to, STATUS_DROP_MESSAGES, sqlite3_column_int64(row, 2));
    status_add_number(to, STATUS_DROP_BYTES, sqlite3_column_int64(row, 3));
    status_add_time(to, STATUS_DROP_SINCE, sqlite3_column_int64(row, 4));
    status_add_time(to, STATUS_DROP_LAST, sqlite3_column_int64(row, 5));
}

static void add_problem(struct cJSON *to, sqlite3_stmt *row)
{
    status_add_text(to, STATUS_PROBLEM_NAME, text_of(row, 0));
    status_add_time(to, STATUS_PROBLEM_SINCE, sqlite3_column_int64(row, 1));
    status_add_text(to, STATUS_PROBLEM_DESCRIPTION, text_of(row, 2));
}

/* Named as the view is. */
static void add_device(struct cJSON *to, sqlite3_stmt *row)
{
    status_add_text(to, STATUS_DEVICE_NAME, text_of(row, 0));
    status_add_text(to, STATUS_DEVICE_ROUTE, text_of(row, 1));
    status_add_time(to, STATUS_DEVICE_LAST_SEEN, sqlite3_column_int64(row, 2));
    status_add_number(to, STATUS_DEVICE_BOOT, sqlite3_column_int64(row, 3));
    status_add_number(to, STATUS_DEVICE_ACKNOWLEDGED, sqlite3_column_int64(row, 4));
    status_add_number(to, STATUS_DEVICE_GAPS, sqlite3_column_int64(row, 5));
    status_add_number(to, STATUS_DEVICE_STORED, sqlite3_column_int64(row, 6));
    status_add_number(to, STATUS_DEVICE_LOST, sqlite3_column_int64(row, 7));
    status_add_number(to, STATUS_DEVICE_RESTARTS, sqlite3_column_int64(row, 8));
    status_add_time(to, STATUS_DEVICE_SINCE, sqlite3_column_int64(row, 9));
    status_add_number(to, STATUS_DEVICE_UNKNOWN_BEFORE, sqlite3_column_int64(row, 10));
    status_add_bool(to, STATUS_DEVICE_SHARED, sqlite3_column_int64(row, 11) >= DEVICE_SHARED);
}

/* min() is what is oldest by id, nearly always; by time, where clocks were wrong. */
static const struct {
    enum status_field list;
    const char *sql;
    row_fn *visit;
} lists[] = {
    {STATUS_QUEUE_ROUTES,
     "SELECT m.route, count(*), min(r.epoch_ms + m.uptime_ms), count(m.late_since_uptime_ms), sum(m.attempts "
     "> 0)"
     " FROM message AS m LEFT JOIN run AS r ON r.id = m.run GROUP BY m.route ORDER BY m.route",
     add_route},
    {STATUS_DEAD_LETTERS,
     "SELECT route, reason, count(*), max(died_ms) FROM dead_letter GROUP BY route, reason ORDER BY 1, 2",
     add_dead},
    {STATUS_DROPS, "SELECT route, reason, messages, bytes, since_ms, last_ms FROM dropped ORDER BY 1, 2",
     add_dropped},
    {STATUS_DEVICES,
     "SELECT ack_topic, route, last_ms, boot, up_to, gaps, stored, lost, lives - 1, since_ms, first - 1,"
     " returns"
     " FROM device_state ORDER BY last_ms DESC, ack_topic",
     add_device},
    {STATUS_QUEUE_PROBLEMS, "SELECT name, since_ms, description FROM problem ORDER BY since_ms, name",
     add_problem},
};

static int64_t number(struct queue_admin *admin, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t found = 0;
    if (queue_admin_prepare(admin, sql, &statement) == 0 && sqlite3_step(statement) == SQLITE_ROW)
        found = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return found;
}

static int64_t file_bytes(const char *path, const char *suffix)
{
    cleanup_free char *name = xasprintf("%s%s", path, suffix);
    struct stat status;
    return stat(name, &status) == 0 ? (int64_t)status.st_size : 0;
}

static void add_disk(struct queue_admin *admin, struct cJSON *to)
{
    cleanup_free char *path = xstrdup(admin->path);
    int64_t page_bytes = number(admin, "PRAGMA page_size");
    status_add_number(to, STATUS_DATABASE_BYTES, file_bytes(admin->path, ""));
    status_add_number(to, STATUS_FREE_IN_DATABASE_BYTES, page_bytes * number(admin, "PRAGMA freelist_count"));
    status_add_number(to, STATUS_WRITE_AHEAD_LOG_BYTES, file_bytes(admin->path, "-wal"));
    status_add_number(to, STATUS_RESERVE_BYTES, file_bytes(admin->path, "-reserve"));
    struct statvfs disk;
    if (statvfs(dirname(path), &disk) == 0)
        status_add_number(to, STATUS_DISK_FREE_BYTES, (int64_t)disk.f_bavail * (int64_t)disk.f_frsize);
}

int queue_admin_facts(struct queue_admin *admin, struct cJSON *to)
{
    int error = 0;
    status_add_text(to, STATUS_QUEUE_PATH, admin->path);
    for (size_t i = 0; i < ARRAY_LEN(lists) && error == 0; i++)
        error = each(admin, lists[i].sql, lists[i].visit, status_add_list(to, lists[i].list));
    if (error == 0)
        add_disk(admin, status_add_object(to, STATUS_DISK));
    return error;
}
