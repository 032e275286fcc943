/* queue/admin/admin.c - reading the queue; see queue/admin/admin.h. */
#include "queue/admin/admin.h"
#include "base/clock.h"
#include "base/disk.h"
#include "db/columns.h"
#include "message/topic.h"
#include "queue/admin/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- opening, closing, failing ---- */

int queue_admin_open(const char *path, bool write, struct queue_admin **ret, char **ret_why)
{
    struct db db;
    int error = db_external_open(path, write, &db, ret_why);
    if (error != 0)
        return error;
    struct queue_admin *admin = xcalloc(1, sizeof *admin);
    admin->db = db;
    admin->path = xstrdup(path);
    if (write && queue_admin_holder(path) == 0) /* no daemon does it */
        sqlite3_wal_autocheckpoint(db.handle, 1000);
    *ret = admin;
    return 0;
}

int queue_admin_close(struct queue_admin *admin)
{
    if (!admin)
        return 0;
    int error = admin->changed ? db_external_sync(admin->path) : 0;
    db_external_close(&admin->db);
    free(admin->path);
    free(admin->error);
    free(admin);
    return error;
}

const char *queue_admin_error(const struct queue_admin *admin)
{
    return admin->error ? admin->error : "";
}

int queue_admin_result(struct queue_admin *admin, int code, const char *doing)
{
    int error = db_errno(admin->db.handle, code);
    if (error == 0)
        return 0;
    free(admin->error);
    admin->error = xasprintf("%s: cannot %s: %s", admin->path, doing, sqlite3_errmsg(admin->db.handle));
    return error;
}

int queue_admin_prepare(struct queue_admin *admin, const char *sql, sqlite3_stmt **ret)
{
    return queue_admin_result(admin, sqlite3_prepare_v2(admin->db.handle, sql, -1, ret, NULL),
                              "read the queue");
}

/* To ask for the lock, even shared and for a moment, could prevent a daemon from starting; but
 * the kernel lists who has it. A line is like
 *     5: FLOCK  ADVISORY  WRITE 4711 08:02:131075 0 EOF */
pid_t queue_admin_holder(const char *path)
{
    cleanup_free char *name = xasprintf("%s-lock", path);
    struct stat status;
    unsigned major, minor, of_major, of_minor;
    bool compares = disk_device(name, &major, &minor);
    FILE *locks = stat(name, &status) == 0 ? fopen("/proc/locks", "re") : NULL;
    if (!locks)
        return 0;
    pid_t found = 0;
    char line[256], kind[16];
    int pid;
    unsigned long long inode;
    while (found == 0 && fgets(line, sizeof line, locks))
        if (sscanf(line, "%*d: %15s %*s %*s %d %x:%x:%llu", kind, &pid, &of_major, &of_minor, &inode) == 5 &&
            strcmp(kind, "FLOCK") == 0 && inode == status.st_ino &&
            (!compares || (of_major == major && of_minor == minor)))
            found = pid;
    fclose(locks);
    return found;
}

/* ---- glances ---- */

#define GLANCE_COLUMNS "m.id, m.route, m.topic, m.uptime_ms, length(m.payload), r.boot_id, r.epoch_ms FROM "
#define OF_MESSAGE                                                                                           \
    "SELECT 0 AS dead, m.deferred, NULL AS reason, " GLANCE_COLUMNS                                          \
    "message AS m LEFT JOIN run AS r ON r.id = m.run"
#define OF_DEAD_LETTER                                                                                       \
    "SELECT 1 AS dead, 0, m.reason, " GLANCE_COLUMNS "dead_letter AS m LEFT JOIN run AS r ON r.id = m.run"

enum glance_column { DEAD, DEFERRED, REASON, ID, ROUTE, TOPIC, UPTIME, BYTES, BOOT, EPOCH };

/* A page of glances, copied. */
struct page {
    struct queue_glance glances[QUEUE_ADMIN_ROWS];
    char *texts[QUEUE_ADMIN_ROWS]; /* of each: one piece of memory */
    size_t count;                  /* that pass the filter */
    size_t rows;                   /* that were read */
    int64_t last;                  /* id of the last row that was read */
};

struct walk {
    struct queue_admin *admin;
    const struct queue_filter *filter;
    bool newest_first;
    sqlite3_stmt *statement;
    int64_t cursor;
    size_t next_id; /* of filter->ids */
    int64_t now_ms, uptime_ms;
    struct page page;
};

static int64_t age_of(const struct walk *walk, sqlite3_stmt *row)
{
    int64_t uptime_ms = sqlite3_column_int64(row, UPTIME);
    const char *boot_id = (const char *)sqlite3_column_text(row, BOOT);
    if (boot_id && strcmp(boot_id, clock_boot_id()) == 0)
        return walk->uptime_ms - uptime_ms;
    return walk->now_ms - (sqlite3_column_int64(row, EPOCH) + uptime_ms);
}

static bool is_same(const char *wanted, sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return !wanted || (text && strcmp(wanted, text) == 0);
}

static bool passes(const struct walk *walk, sqlite3_stmt *row)
{
    const struct queue_filter *filter = walk->filter;
    if (!is_same(filter->route, row, ROUTE) || !is_same(filter->reason, row, REASON))
        return false;
    const char *topic = (const char *)sqlite3_column_text(row, TOPIC);
    if (!topic || (filter->topic && !topic_matches(filter->topic, topic)))
        return false;
    if (filter->older_ms == 0 && filter->newer_ms == 0)
        return true;
    int64_t age_ms = age_of(walk, row);
    return (filter->older_ms == 0 || age_ms >= filter->older_ms) &&
           (filter->newer_ms == 0 || age_ms < filter->newer_ms);
}

static void take(struct page *page, sqlite3_stmt *row)
{
    const char *const texts[] = {(const char *)sqlite3_column_text(row, ROUTE),
                                 (const char *)sqlite3_column_text(row, TOPIC),
                                 (const char *)sqlite3_column_text(row, REASON)};
    char *copies[ARRAY_LEN(texts)], *at;
    size_t bytes = 0;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        bytes += texts[i] ? strlen(texts[i]) + 1 : 1;
    page->texts[page->count] = at = xcalloc(1, bytes);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        copies[i] = at;
        at = stpcpy(at, texts[i] ? texts[i] : "") + 1;
    }
    bool dead = sqlite3_column_int(row, DEAD) != 0;
    page->glances[page->count++] = (struct queue_glance){
        .id = sqlite3_column_int64(row, ID),
        .received_ms = sqlite3_column_int64(row, EPOCH) + sqlite3_column_int64(row, UPTIME),
        .bytes = sqlite3_column_int64(row, BYTES),
        .deferred = sqlite3_column_int(row, DEFERRED) != 0,
        .dead = dead,
        .route = copies[0],
        .topic = copies[1],
        .reason = dead ? copies[2] : NULL,
    };
}

static void page_done(struct page *page)
{
    for (size_t i = 0; i < page->count; i++)
        free(page->texts[i]);
    page->count = page->rows = 0;
}

static int read_rows(struct walk *walk)
{
    struct page *page = &walk->page;
    int code;
    while ((code = sqlite3_step(walk->statement)) == SQLITE_ROW) {
        page->rows++;
        page->last = sqlite3_column_int64(walk->statement, ID);
        if (passes(walk, walk->statement))
            take(page, walk->statement);
    }
    int error = queue_admin_result(walk->admin, code, "read the queue");
    sqlite3_reset(walk->statement);
    return error;
}

/* The filter has a list of ids. */
static int next_ids(struct walk *walk)
{
    const struct queue_filter *filter = walk->filter;
    int error = 0;
    for (size_t n = 0; n < QUEUE_ADMIN_ROWS / 2 && walk->next_id < filter->id_count && error == 0; n++) {
        size_t at = walk->next_id++;
        int64_t id = filter->ids[walk->newest_first ? filter->id_count - 1 - at : at];
        sqlite3_bind_int64(walk->statement, 1, id);
        if (filter->up_to == 0 || id <= filter->up_to)
            error = read_rows(walk);
    }
    return error;
}

/* Returns 0 and whether there may be more, or -Exxx. */
static int next_page(struct walk *walk, bool *ret_more)
{
    page_done(&walk->page);
    if (walk->filter->id_count > 0) {
        int error = next_ids(walk);
        *ret_more = walk->next_id < walk->filter->id_count;
        return error;
    }
    sqlite3_bind_int64(walk->statement, 1, walk->cursor);
    sqlite3_bind_int(walk->statement, 2, QUEUE_ADMIN_ROWS);
    int error = read_rows(walk);
    *ret_more = walk->page.rows == QUEUE_ADMIN_ROWS;
    walk->cursor = walk->page.last;
    return error;
}

/* Only dead letters have a reason. */
static bool wants(const struct queue_filter *filter, bool dead)
{
    bool all = !filter->waiting && !filter->deferred && !filter->dead;
    return dead ? all || filter->dead : (all || filter->waiting || filter->deferred) && !filter->reason;
}

static char *walk_sql(const struct queue_filter *filter, bool newest_first)
{
    const char *where = filter->id_count > 0 ? "= ?1" : newest_first ? "< ?1" : "> ?1";
    const char *state = filter->waiting == filter->deferred ? "" /* both, or any */
                        : filter->deferred                  ? " AND m.deferred = 1"
                                                            : " AND m.deferred = 0";
    cleanup_free char *messages = xasprintf(OF_MESSAGE " WHERE m.id %s%s", where, state);
    cleanup_free char *letters = xasprintf(OF_DEAD_LETTER " WHERE m.id %s", where);
    bool both = wants(filter, false) && wants(filter, true);
    return xasprintf("%s%s%s%s", wants(filter, false) ? messages : "", both ? " UNION ALL " : "",
                     wants(filter, true) ? letters : "",
                     filter->id_count > 0 ? ""
                     : newest_first       ? " ORDER BY 4 DESC LIMIT ?2"
                                          : " ORDER BY 4 LIMIT ?2");
}

static int walk_start(struct queue_admin *admin, const struct queue_filter *filter, bool newest_first,
                      struct walk **ret)
{
    struct walk *walk = xcalloc(1, sizeof *walk);
    *walk = (struct walk){.admin = admin,
                          .filter = filter,
                          .newest_first = newest_first,
                          .now_ms = clock_wall_ms(),
                          .uptime_ms = clock_uptime_ms()};
    if (newest_first)
        walk->cursor = filter->up_to > 0 ? filter->up_to + 1 : INT64_MAX;
    cleanup_free char *sql = walk_sql(filter, newest_first);
    int error = queue_admin_prepare(admin, sql, &walk->statement);
    if (error != 0) {
        free(walk);
        return error;
    }
    *ret = walk;
    return 0;
}

static void walk_free(struct walk *walk)
{
    page_done(&walk->page);
    sqlite3_finalize(walk->statement);
    free(walk);
}

int queue_admin_glance(struct queue_admin *admin, const struct queue_filter *filter, bool newest_first,
                       queue_glance_fn *visit, void *context)
{
    if (!wants(filter, false) && !wants(filter, true))
        return 0;
    struct walk *walk = NULL;
    int error = walk_start(admin, filter, newest_first, &walk);
    if (error != 0)
        return error;
    bool more = true;
    while (more && error == 0) {
        error = next_page(walk, &more);
        for (size_t i = 0; i < walk->page.count && error == 0; i++) {
            const struct queue_glance *glance = &walk->page.glances[i];
            bool beyond = !newest_first && filter->up_to > 0 && glance->id > filter->up_to;
            if (beyond || !visit(context, glance)) {
                more = false;
                break;
            }
        }
    }
    walk_free(walk);
    return error;
}

/* ---- whole rows ---- */

#define ROW_SQL "SELECT " MESSAGE_COLUMNS ", attempts, payload, last_status, last_error, history, "

static const char *const row_sql[] = {
    ROW_SQL "NULL, 0, deferred FROM message WHERE id = ?1",
    ROW_SQL "reason, died_ms, 0 FROM dead_letter WHERE id = ?1",
    "SELECT " RUN_COLUMNS " FROM run WHERE id = ?1",
};
enum { RUN = 2 };

static const char *text_of(sqlite3_stmt *row, int column)
{
    return (const char *)sqlite3_column_text(row, column);
}

/* Its run may be lost. */
static struct message_row *copy_row(sqlite3_stmt *row, sqlite3_stmt *run_row, bool dead)
{
    int64_t run_id;
    struct message_row read = {.message = columns_read(row, &run_id),
                               .dead = dead,
                               .last_status = sqlite3_column_int(row, COLUMNS),
                               .last_error = text_of(row, COLUMNS + 1),
                               .history = text_of(row, COLUMNS + 2),
                               .reason = text_of(row, COLUMNS + 3),
                               .died_ms = sqlite3_column_int64(row, COLUMNS + 4),
                               .deferred = sqlite3_column_int(row, COLUMNS + 5) != 0};
    sqlite3_bind_int64(run_row, 1, run_id);
    struct run run = {.token = "?"};
    if (sqlite3_step(run_row) == SQLITE_ROW)
        run = columns_read_run(run_row, run_id);
    sqlite3_reset(run_row);
    columns_complete(&read.message, &run);
    return message_row_copy(&read);
}

struct showing {
    struct queue_admin *admin;
    sqlite3_stmt *rows[ARRAY_LEN(row_sql)];
    queue_row_fn *visit;
    void *context;
    int error;
};

/* A row that is gone meanwhile is skipped. */
static bool show(void *context, const struct queue_glance *glance)
{
    struct showing *showing = context;
    sqlite3_stmt *row = showing->rows[glance->dead];
    sqlite3_bind_int64(row, 1, glance->id);
    int code = sqlite3_step(row);
    struct message_row *copy = code == SQLITE_ROW ? copy_row(row, showing->rows[RUN], glance->dead) : NULL;
    showing->error = queue_admin_result(showing->admin, code, "read a message");
    sqlite3_reset(row);
    bool go_on = showing->error == 0 && (!copy || showing->visit(showing->context, copy));
    free(copy);
    return go_on;
}

int queue_admin_rows(struct queue_admin *admin, const struct queue_filter *filter, bool newest_first,
                     queue_row_fn *visit, void *context)
{
    struct showing showing = {.admin = admin, .visit = visit, .context = context};
    int error = 0;
    for (size_t i = 0; i < ARRAY_LEN(row_sql) && error == 0; i++)
        error = queue_admin_prepare(admin, row_sql[i], &showing.rows[i]);
    if (error == 0)
        error = queue_admin_glance(admin, filter, newest_first, show, &showing);
    for (size_t i = 0; i < ARRAY_LEN(row_sql); i++)
        sqlite3_finalize(showing.rows[i]);
    return error != 0 ? error : showing.error;
}
