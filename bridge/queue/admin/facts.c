/* queue/admin/facts.c - the status of the queue from its database, whether the daemon runs or
 * not. Every row is counted, for which the daemon itself has no time. */
#include "base/disk.h"
#include "message/device.h"
#include "queue/admin/internal.h"

#include <assert.h>
#include <libgen.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static_assert(DEVICE_SHARED == 4, "as below, and in the view `device`");

enum { FIELDS_MOST = 12 };

/* Lists of the status: a query, and a field for each of its columns. types has a letter for each:
 * t text, n number, b true or false, T wall clock in ms. min() of the time is that of the lowest
 * id, except where clocks were wrong. */
static const struct {
    enum status_field list;
    const char *sql, *types;
    enum status_field fields[FIELDS_MOST];
} lists[] = {
    {STATUS_QUEUE_ROUTES,
     "SELECT m.route, count(*), min(r.epoch_ms + m.uptime_ms), count(m.late_since_uptime_ms),"
     " sum(m.attempts > 0), sum(m.deferred),"
     " (SELECT coalesce(d.last_error, d.last_status) FROM message AS d"
     " WHERE d.deferred = 1 AND d.route = m.route ORDER BY d.id DESC LIMIT 1)"
     " FROM message AS m LEFT JOIN run AS r ON r.id = m.run GROUP BY m.route ORDER BY m.route",
     "tnTnnnt",
     {STATUS_QUEUE_ROUTE_NAME, STATUS_QUEUE_ROUTE_WAITING, STATUS_QUEUE_ROUTE_OLDEST, STATUS_QUEUE_ROUTE_LATE,
      STATUS_QUEUE_ROUTE_RETRIED, STATUS_QUEUE_ROUTE_DEFERRED, STATUS_QUEUE_ROUTE_DEFERRED_WHY}},
    {STATUS_DEAD_LETTERS,
     "SELECT route, reason, count(*), sum(length(payload)), sum(NOT seen), max(died_ms)"
     " FROM dead_letter"
     " GROUP BY route, reason ORDER BY 1, 2",
     "ttnnnT",
     {STATUS_DEAD_ROUTE, STATUS_DEAD_REASON, STATUS_DEAD_MESSAGES, STATUS_DEAD_BYTES, STATUS_DEAD_UNSEEN,
      STATUS_DEAD_LAST}},
    {STATUS_DROPS,
     "SELECT route, reason, messages, bytes, since_ms, last_ms FROM dropped ORDER BY 1, 2",
     "ttnnTT",
     {STATUS_DROP_ROUTE, STATUS_DROP_REASON, STATUS_DROP_MESSAGES, STATUS_DROP_BYTES, STATUS_DROP_SINCE,
      STATUS_DROP_LAST}},
    {STATUS_DEVICES,
     "SELECT ack_topic, route, last_ms, boot, up_to, gaps, stored, lost, lives - 1, since_ms, first - 1, "
     "returns >= 4"
     " FROM device_state ORDER BY last_ms DESC, ack_topic",
     "ttTnnnnnnTnb",
     {STATUS_DEVICE_NAME, STATUS_DEVICE_ROUTE, STATUS_DEVICE_LAST_SEEN, STATUS_DEVICE_BOOT,
      STATUS_DEVICE_ACKNOWLEDGED, STATUS_DEVICE_GAPS, STATUS_DEVICE_STORED, STATUS_DEVICE_LOST,
      STATUS_DEVICE_RESTARTS, STATUS_DEVICE_SINCE, STATUS_DEVICE_UNKNOWN_BEFORE, STATUS_DEVICE_SHARED}},
    {STATUS_SESSIONS,
     "SELECT client_id, broker, left_ms, left_ms + expiry_s * 1000 FROM session WHERE left_ms IS NOT NULL"
     " AND coalesce(left_ms / 1000 + expiry_s > CAST(strftime('%s', 'now') AS INTEGER), 1) ORDER BY "
     "client_id",
     "ttTT",
     {STATUS_SESSION_CLIENT_ID, STATUS_SESSION_BROKER, STATUS_SESSION_LEFT, STATUS_SESSION_EXPIRES}},
    {STATUS_QUEUE_PROBLEMS,
     "SELECT name, since_ms, description FROM problem ORDER BY since_ms, name",
     "tTt",
     {STATUS_PROBLEM_NAME, STATUS_PROBLEM_SINCE, STATUS_PROBLEM_DESCRIPTION}},
};

static void add_row(struct cJSON *to, sqlite3_stmt *row, const char *types, const enum status_field *fields)
{
    for (int i = 0; types[i] != '\0'; i++) {
        int64_t number = sqlite3_column_int64(row, i);
        if (types[i] == 't')
            status_add_text(to, fields[i], (const char *)sqlite3_column_text(row, i));
        else if (types[i] == 'T')
            status_add_time(to, fields[i], number);
        else if (types[i] == 'b')
            status_add_bool(to, fields[i], number != 0);
        else
            status_add_number(to, fields[i], number);
    }
}

static int add_list(struct queue_admin *admin, size_t i, struct cJSON *to)
{
    struct cJSON *list = status_add_list(to, lists[i].list);
    sqlite3_stmt *row = NULL;
    int error = queue_admin_prepare(admin, lists[i].sql, &row);
    if (error != 0)
        return error;
    int code;
    while ((code = sqlite3_step(row)) == SQLITE_ROW)
        add_row(status_append(list), row, lists[i].types, lists[i].fields);
    error = queue_admin_result(admin, code, "read the queue");
    sqlite3_finalize(row);
    return error;
}

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
    status_add_text(to, STATUS_DISK_VOLATILE, disk_volatile(admin->path));
    struct statvfs disk;
    if (statvfs(dirname(path), &disk) == 0)
        status_add_number(to, STATUS_DISK_FREE_BYTES, (int64_t)disk.f_bavail * (int64_t)disk.f_frsize);
}

int queue_admin_facts(struct queue_admin *admin, struct cJSON *to)
{
    int error = 0;
    status_add_text(to, STATUS_QUEUE_PATH, admin->path);
    for (size_t i = 0; i < ARRAY_LEN(lists) && error == 0; i++)
        error = add_list(admin, i, to);
    if (error == 0)
        add_disk(admin, status_add_object(to, STATUS_DISK));
    return error;
}
