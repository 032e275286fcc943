/* queue/admin/change.c - retry and drop; see queue/admin/admin.h.
 *
 * Rows are changed in the order in which they are read, QUEUE_ADMIN_ROWS in a transaction. A
 * daemon does not wait for the lock but tries again every few milliseconds; the pause after each
 * transaction is longer than that.
 */
#include "base/clock.h"
#include "db/columns.h"
#include "message/history.h"
#include "queue/admin/internal.h"

#include <errno.h>
#include <time.h>

enum { PAUSE_MS = 25 };

struct change;
typedef int change_row_fn(struct change *change, const struct queue_glance *glance);

struct change {
    struct queue_admin *admin;
    change_row_fn *row;
    queue_progress *progress;
    void *context;
    bool daemon_runs;
    sqlite3_stmt *insert, *unexpire, *undefer, *delete[2], *fingerprint, *count, *rescan;
    struct queue_glance *glances; /* of the next transaction, with their own routes */
    char **routes;
    size_t waiting;
    struct queue_changed changed, changing; /* committed, and by the open transaction */
    int error;
};

static int run(struct change *change, sqlite3_stmt *statement, const char *doing)
{
    int error = queue_admin_result(change->admin, sqlite3_step(statement), doing);
    sqlite3_reset(statement);
    return error;
}

static int exec(struct change *change, const char *sql)
{
    return queue_admin_result(change->admin, sqlite3_exec(change->admin->db.handle, sql, NULL, NULL, NULL),
                              "change the queue");
}

static int delete_row(struct change *change, const struct queue_glance *glance)
{
    sqlite3_stmt *delete = change->delete[glance->dead];
    sqlite3_bind_int64(delete, 1, glance->id);
    return run(change, delete, "delete a message");
}

/* The row of the last statement may be gone meanwhile. */
static bool was_changed(const struct change *change)
{
    return sqlite3_changes(change->admin->db.handle) > 0;
}

static void count_row(struct queue_changed *changing, const struct queue_glance *glance)
{
    changing->dead_letters += glance->dead;
    changing->messages += !glance->dead;
}

static int retry_row(struct change *change, const struct queue_glance *glance)
{
    sqlite3_stmt *statement = glance->dead ? change->insert : change->undefer;
    sqlite3_bind_int64(statement, 1, glance->id);
    sqlite3_bind_int64(statement, 2, clock_wall_ms());
    int error = run(change, statement, "retry a message");
    if (error != 0 || !was_changed(change))
        return error;
    count_row(&change->changing, glance);
    if (glance->dead)
        error = delete_row(change, glance);
    if (error == 0 && glance->dead) { /* a person wants it, whatever its expiry */
        sqlite3_bind_int64(change->unexpire, 1, glance->id);
        error = run(change, change->unexpire, "retry a message");
    }
    if (error != 0)
        return error;
    sqlite3_bind_int64(change->rescan, 1, glance->id);
    return run(change, change->rescan, "report it to sluice");
}

static int drop_row(struct change *change, const struct queue_glance *glance)
{
    sqlite3_bind_int64(change->fingerprint, 1, glance->id);
    int error = run(change, change->fingerprint, "keep a fingerprint");
    if (error == 0)
        error = delete_row(change, glance);
    if (error != 0 || !was_changed(change))
        return error;
    count_row(&change->changing, glance);
    sqlite3_bind_text(change->count, 1, glance->route, -1, SQLITE_STATIC);
    sqlite3_bind_int64(change->count, 2, glance->bytes);
    sqlite3_bind_int64(change->count, 3, clock_wall_ms());
    return run(change, change->count, "count dropped messages");
}

/* ---- transactions ---- */

static int change_all(struct change *change)
{
    int error = exec(change, "BEGIN IMMEDIATE");
    if (error != 0)
        return error;
    change->changing = (struct queue_changed){.messages = 0};
    for (size_t i = 0; i < change->waiting && error == 0; i++)
        error = change->row(change, &change->glances[i]);
    if (error == 0)
        error = exec(change, "COMMIT");
    if (error != 0) {
        sqlite3_exec(change->admin->db.handle, "ROLLBACK", NULL, NULL, NULL);
        return error;
    }
    change->changed.messages += change->changing.messages;
    change->changed.dead_letters += change->changing.dead_letters;
    change->admin->changed = true;
    return 0;
}

static void forget(struct change *change)
{
    for (size_t i = 0; i < change->waiting; i++)
        free(change->routes[i]);
    change->waiting = 0;
}

static void flush(struct change *change)
{
    if (change->waiting == 0)
        return;
    int64_t start_ms = clock_uptime_ms();
    change->error = change_all(change);
    forget(change);
    if (change->error != 0)
        return;
    if (change->progress)
        change->progress(change->context, change->changed.messages + change->changed.dead_letters);
    int64_t took_ms = clock_uptime_ms() - start_ms;
    int64_t pause_ms = took_ms > PAUSE_MS ? took_ms : PAUSE_MS;
    if (change->daemon_runs)
        nanosleep(&(struct timespec){.tv_sec = pause_ms / 1000, .tv_nsec = (long)(pause_ms % 1000) * 1000000},
                  NULL);
}

static bool collect(void *context, const struct queue_glance *glance)
{
    struct change *change = context;
    change->routes[change->waiting] = xstrdup(glance->route);
    change->glances[change->waiting] = *glance;
    change->glances[change->waiting].route = change->routes[change->waiting];
    if (++change->waiting == QUEUE_ADMIN_ROWS)
        flush(change);
    return change->error == 0;
}

/* ---- statements ---- */

static int prepare(struct change *change)
{
    struct queue_admin *admin = change->admin;
    const struct {
        const char *sql;
        sqlite3_stmt **to;
    } statements[] = {
        {"INSERT INTO message (" MESSAGE_COLUMNS ", payload, attempts, last_status, last_error, history)"
         " SELECT " MESSAGE_COLUMNS ", payload, 0, last_status, last_error,"
         " history_add(history, ?2, '" MESSAGE_RETRIED "', 0, 0, NULL) FROM dead_letter WHERE id = ?1",
         &change->insert},
        {"UPDATE message SET deferred = 0, attempts = 0, expires_after_ms = NULL,"
         " history = history_add(history, ?2, '" MESSAGE_RETRIED
         "', 0, 0, NULL) WHERE id = ?1 AND deferred = 1",
         &change->undefer},
        {"UPDATE message SET expires_after_ms = NULL WHERE id = ?1 AND expires_after_ms IS NOT NULL",
         &change->unexpire},
        {"DELETE FROM message WHERE id = ?1", &change->delete[0]},
        {"DELETE FROM dead_letter WHERE id = ?1", &change->delete[1]},
        /* The daemon knows more of them to be confirmed, and deletes their fingerprints. */
        {FINGERPRINTS_KEEP("id = ?1 AND id > (SELECT confirmed_id FROM run ORDER BY id DESC LIMIT 1)"),
         &change->fingerprint},
        {"INSERT INTO dropped (reason, route, messages, bytes, since_ms, last_ms)"
         " VALUES ('by-hand', ?1, 1, ?2, ?3, ?3) ON CONFLICT (reason, route)"
         " DO UPDATE SET messages = messages + 1, bytes = bytes + ?2, last_ms = ?3",
         &change->count},
        {"INSERT INTO rescan (one, from_id) VALUES (1, ?1)"
         " ON CONFLICT (one) DO UPDATE SET from_id = min(from_id, ?1)",
         &change->rescan},
    };
    int error = 0;
    for (size_t i = 0; i < ARRAY_LEN(statements) && error == 0; i++)
        error = queue_admin_prepare(admin, statements[i].sql, statements[i].to);
    return error;
}

static int change_rows(struct queue_admin *admin, change_row_fn *row, const struct queue_filter *filter,
                       queue_progress *progress, void *context, struct queue_changed *ret)
{
    struct change change = {.admin = admin,
                            .row = row,
                            .progress = progress,
                            .context = context,
                            .daemon_runs = queue_admin_holder(admin->path) != 0,
                            .glances = xcalloc(QUEUE_ADMIN_ROWS, sizeof *change.glances),
                            .routes = xcalloc(QUEUE_ADMIN_ROWS, sizeof *change.routes)};
    int error = prepare(&change);
    if (error == 0)
        error = queue_admin_glance(admin, filter, false, collect, &change);
    if (error == 0 && change.error == 0)
        flush(&change);
    forget(&change);
    sqlite3_stmt *const statements[] = {change.insert,    change.unexpire,  change.undefer,
                                        change.delete[0], change.delete[1], change.fingerprint,
                                        change.count,     change.rescan};
    for (size_t i = 0; i < ARRAY_LEN(statements); i++)
        sqlite3_finalize(statements[i]);
    free(change.glances);
    free(change.routes);
    *ret = change.changed;
    return error != 0 ? error : change.error;
}

bool queue_admin_retried(const struct queue_filter *filter, struct queue_filter *ret)
{
    bool any = !filter->waiting && !filter->deferred && !filter->dead;
    *ret = *filter;
    ret->waiting = false;
    ret->deferred = any || filter->deferred;
    ret->dead = any || filter->dead;
    return ret->deferred || ret->dead;
}

int queue_admin_retry(struct queue_admin *admin, const struct queue_filter *filter, queue_progress *progress,
                      void *context, struct queue_changed *ret)
{
    struct queue_filter retried;
    *ret = (struct queue_changed){.messages = 0};
    if (!queue_admin_retried(filter, &retried))
        return 0;
    return change_rows(admin, retry_row, &retried, progress, context, ret);
}

int queue_admin_drop(struct queue_admin *admin, const struct queue_filter *filter, queue_progress *progress,
                     void *context, struct queue_changed *ret)
{
    return change_rows(admin, drop_row, filter, progress, context, ret);
}

int queue_admin_forget_session(struct queue_admin *admin, const char *client_id)
{
    sqlite3_stmt *delete = NULL;
    const char sql[] = "DELETE FROM session WHERE client_id = ?1 AND left_ms IS NOT NULL";
    int error = queue_admin_prepare(admin, sql, &delete);
    if (error != 0)
        return error;
    sqlite3_bind_text(delete, 1, client_id, -1, SQLITE_STATIC);
    error = queue_admin_result(admin, sqlite3_step(delete), "forget a session");
    sqlite3_finalize(delete);
    admin->changed = error == 0;
    return error == 0 && sqlite3_changes(admin->db.handle) == 0 ? -ENOENT : error;
}

void queue_admin_seen(const char *path)
{
    struct queue_admin *admin = NULL;
    cleanup_free char *why = NULL;
    if (queue_admin_open(path, true, &admin, &why) != 0)
        return;
    const char sql[] = "UPDATE dead_letter SET seen = 1 WHERE seen = 0 AND id > 0";
    admin->changed = queue_admin_result(admin, sqlite3_exec(admin->db.handle, sql, NULL, NULL, NULL),
                                        "note that dead letters were listed") == 0;
    queue_admin_close(admin);
}
