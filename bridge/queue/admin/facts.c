/* queue/admin/facts.c - what the database alone tells of the queue: for status, also
 * of a daemon that is stopped. Every row is counted, which the daemon itself has no
 * time for. */
#include "message/device.h"
#include "queue/admin/internal.h"

#include <errno.h>
#include <libgen.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

typedef void row_fn(struct report *to, sqlite3_stmt *row);

static int each(struct queue_admin *admin, const char *sql, row_fn *visit, struct report *array)
{
    sqlite3_stmt *statement = NULL;
    int error = queue_admin_prepare(admin, sql, &statement);
    if (error != 0)
        return error;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        visit(report_append_object(array), statement);
    error = queue_admin_result(admin, code, "read the queue");
    sqlite3_finalize(statement);
    return error;
}

static const char *text_of(sqlite3_stmt *row, int column)
{
    return (const char *)sqlite3_column_text(row, column);
}

static void add_route(struct report *to, sqlite3_stmt *row)
{
    report_add_text(to, "name", text_of(row, 0));
    report_add_number(to, "waiting", sqlite3_column_int64(row, 1));
    report_add_time(to, "oldest", sqlite3_column_int64(row, 2));
    report_add_number(to, "late", sqlite3_column_int64(row, 3));
    report_add_number(to, "retried", sqlite3_column_int64(row, 4));
}

static void add_dead(struct report *to, sqlite3_stmt *row)
{
    report_add_text(to, "route", text_of(row, 0));
    report_add_text(to, "reason", text_of(row, 1));
    report_add_number(to, "messages", sqlite3_column_int64(row, 2));
    report_add_time(to, "last", sqlite3_column_int64(row, 3));
}

static void add_dropped(struct report *to, sqlite3_stmt *row)
{
    report_add_text(to, "route", text_of(row, 0));
    report_add_text(to, "reason", text_of(row, 1));
    report_add_number(to, "messages", sqlite3_column_int64(row, 2));
    report_add_number(to, "bytes", sqlite3_column_int64(row, 3));
    report_add_time(to, "since", sqlite3_column_int64(row, 4));
    report_add_time(to, "last", sqlite3_column_int64(row, 5));
}

static void add_trouble(struct report *to, sqlite3_stmt *row)
{
    report_add_text(to, "what", text_of(row, 0));
    report_add_time(to, "since", sqlite3_column_int64(row, 1));
    report_add_text(to, "words", text_of(row, 2));
}

/* Named as the view is. */
static void add_device(struct report *to, sqlite3_stmt *row)
{
    report_add_text(to, "device", text_of(row, 0));
    report_add_text(to, "route", text_of(row, 1));
    report_add_time(to, "last_seen", sqlite3_column_int64(row, 2));
    report_add_number(to, "boot", sqlite3_column_int64(row, 3));
    report_add_number(to, "acknowledged", sqlite3_column_int64(row, 4));
    report_add_number(to, "gaps", sqlite3_column_int64(row, 5));
    report_add_number(to, "stored", sqlite3_column_int64(row, 6));
    report_add_number(to, "lost", sqlite3_column_int64(row, 7));
    report_add_number(to, "restarts", sqlite3_column_int64(row, 8));
    report_add_time(to, "since", sqlite3_column_int64(row, 9));
    report_add_number(to, "unknown_before", sqlite3_column_int64(row, 10));
    report_add_truth(to, "shared", sqlite3_column_int64(row, 11) >= DEVICE_SHARED);
}

/* min() is what is oldest by id, nearly always; by time, where clocks were wrong. */
static const struct {
    const char *name, *sql;
    row_fn *visit;
} lists[] = {
    {"routes",
     "SELECT m.route, count(*), min(r.epoch_ms + m.uptime_ms), count(m.late_since_uptime_ms), sum(m.attempts "
     "> 0)"
     " FROM message AS m LEFT JOIN run AS r ON r.id = m.run GROUP BY m.route ORDER BY m.route",
     add_route},
    {"dead_letters",
     "SELECT route, reason, count(*), max(died_ms) FROM dead_letter GROUP BY route, reason ORDER BY 1, 2",
     add_dead},
    {"dropped", "SELECT route, reason, messages, bytes, since_ms, last_ms FROM dropped ORDER BY 1, 2",
     add_dropped},
    {"devices",
     "SELECT ack_topic, route, last_ms, boot, up_to, gaps, stored, lost, lives - 1, since_ms, first - 1,"
     " returns"
     " FROM device_state ORDER BY last_ms DESC, ack_topic",
     add_device},
    {"troubles", "SELECT name, since_ms, description FROM problem ORDER BY since_ms, name", add_trouble},
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

static void add_disk(struct queue_admin *admin, struct report *to)
{
    cleanup_free char *path = xstrdup(admin->path);
    int64_t page_bytes = number(admin, "PRAGMA page_size");
    report_add_number(to, "database_bytes", file_bytes(admin->path, ""));
    report_add_number(to, "free_in_database_bytes", page_bytes * number(admin, "PRAGMA freelist_count"));
    report_add_number(to, "write_ahead_log_bytes", file_bytes(admin->path, "-wal"));
    report_add_number(to, "reserve_bytes", file_bytes(admin->path, "-reserve"));
    struct statvfs disk;
    if (statvfs(dirname(path), &disk) == 0)
        report_add_number(to, "disk_free_bytes", (int64_t)disk.f_bavail * (int64_t)disk.f_frsize);
}

int queue_admin_facts(struct queue_admin *admin, struct report *to)
{
    int error = 0;
    report_add_text(to, "path", admin->path);
    for (size_t i = 0; i < ARRAY_LEN(lists) && error == 0; i++)
        error = each(admin, lists[i].sql, lists[i].visit, report_add_array(to, lists[i].name));
    if (error == 0)
        add_disk(admin, report_add_object(to, "disk"));
    return error;
}
