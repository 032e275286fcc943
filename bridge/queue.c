/* queue.c - opening and closing the queue, and what its files share. What they
 * promise is in queue.h; the columns are explained in schema/.
 */
#include "queue.h"
#include "clock.h"
#include "log.h"
#include "queue_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

/* In the order of queue_read.c. */
#define ROW_COLUMNS                                                                                          \
    "id, run, route, topic, source, method, target, content_type, uptime_ms, late_since_ms, packet_id,"      \
    " attempts"

/* clang-format off */
static const char *const statement_sql[Q_STATEMENTS] = {
    [Q_APPEND] =
        "INSERT INTO message (id, run, route, topic, uptime_ms, source, method, target, content_type,"
        " packet_id, late_since_ms, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [Q_DELETE] =
        "DELETE FROM message WHERE id BETWEEN ?1 AND ?2",
    [Q_SCAN] =
        "SELECT " ROW_COLUMNS ", CASE WHEN length(payload) <= 256 THEN payload END FROM message"
        " WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
    [Q_FETCH] =
        "SELECT " ROW_COLUMNS ", payload FROM message WHERE id = ?1",
    [Q_VERSION] =
        "PRAGMA data_version",
    [Q_RUN] =
        "SELECT token, boot_id, epoch_ms, synchronised FROM run WHERE id = ?1",
    [Q_PACKETS] =
        "SELECT * FROM (SELECT id, packet_id, topic, payload FROM message WHERE packet_id IS NOT NULL"
        " UNION ALL SELECT id, packet_id, topic, payload FROM dead_letter WHERE packet_id IS NOT NULL"
        " ORDER BY id DESC LIMIT ?1) ORDER BY id",
    [Q_BLAME] =
        "UPDATE message SET attempts = ?2, last_status = ?3, last_error = ?4 WHERE id = ?1",
    [Q_BURY] =
        "INSERT INTO dead_letter (id, run, route, topic, uptime_ms, source, method, target, content_type,"
        " packet_id, late_since_ms, attempts, last_status, last_error, died_ms, reason, payload)"
        " SELECT id, run, route, topic, uptime_ms, source, method, target, content_type,"
        " packet_id, late_since_ms, ?2, ?3, ?4, ?5, ?6, payload FROM message WHERE id = ?1",
    [Q_TOUCH_RUN] =
        "UPDATE run SET token = token WHERE id = ?1",
    [Q_END_RUN] =
        "UPDATE run SET confirmed_id = ?2 WHERE id = ?1",
    [Q_SUBSCRIPTIONS] =
        "SELECT filter, identifier, granted, covered_to, unsubscribed FROM subscription",
    [Q_SUBSCRIPTION_ADD] =
        "INSERT INTO subscription (filter, identifier)"
        " VALUES (?1, (SELECT coalesce(max(identifier), 0) + 1 FROM subscription))"
        " ON CONFLICT (filter) DO UPDATE SET identifier = excluded.identifier, granted = 0,"
        " covered_to = NULL, unsubscribed = 0 WHERE covered_to IS NOT NULL",
    [Q_SUBSCRIPTION_GRANT] =
        "UPDATE subscription SET granted = 1 WHERE filter = ?1 AND NOT granted",
    [Q_SUBSCRIPTION_REFUSE] =
        "UPDATE subscription SET granted = 0 WHERE filter = ?1 AND granted",
    [Q_SUBSCRIPTION_VANISH] =
        "UPDATE subscription SET covered_to = (SELECT max(identifier) FROM subscription)"
        " WHERE filter = ?1 AND covered_to IS NULL",
    [Q_SUBSCRIPTION_UNSUBSCRIBED] =
        "UPDATE subscription SET unsubscribed = 1 WHERE filter = ?1 AND covered_to IS NOT NULL",
};
/* clang-format on */

int queue_bind_text(sqlite3_stmt *statement, int column, const char *text)
{
    return sqlite3_bind_text(statement, column, text, -1, SQLITE_STATIC);
}

int queue_transaction(struct queue *queue, enum db_sync sync, queue_work_fn *work, void *context)
{
    int error = db_begin(&queue->db, sync);
    if (error != 0)
        return error;
    error = work(queue, context);
    if (error != 0) {
        db_rollback(&queue->db);
        return error;
    }
    return db_commit(&queue->db);
}

/* ---- opening and closing ---- */

/* A lock file of its own: closing any descriptor of the database itself would
 * drop the locks that SQLite holds on it (fcntl(2) locks belong to the process). */
static int take_lock(const char *path, int *ret_fd)
{
    cleanup_free char *name = xasprintf("%s-lock", path);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno == EWOULDBLOCK ? -EBUSY : -errno;
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

static int64_t query_number(struct queue *queue, const char *sql)
{
    int64_t number = 0;
    sqlite3_stmt *statement = db_prepare(&queue->db, sql);
    if (statement && sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

/* Runs of which nothing is left need no row. Ids grow with runs, so the oldest
 * message tells the oldest run that is still needed. */
static const char prune_runs_sql[] =
    "DELETE FROM run WHERE id NOT IN (SELECT run FROM dead_letter)"
    " AND id < coalesce((SELECT run FROM message ORDER BY id LIMIT 1), 9223372036854775807)";

static int start_run(struct queue *queue, void *unused)
{
    (void)unused;
    queue->confirmed = query_number(queue, "SELECT confirmed_id FROM run ORDER BY id DESC LIMIT 1");
    uint64_t token;
    if (getrandom(&token, sizeof token, 0) != (ssize_t)sizeof token)
        return -EIO;
    char token_hex[17];
    snprintf(token_hex, sizeof token_hex, "%016llx", (unsigned long long)token);

    sqlite3_stmt *insert =
        db_prepare(&queue->db, "INSERT INTO run (id, token, boot_id, epoch_ms, synchronised)"
                               " VALUES ((SELECT coalesce(max(id), 0) + 1 FROM run), ?1, ?2, ?3, ?4)");
    if (!insert)
        return -EIO;
    queue_bind_text(insert, 1, token_hex);
    queue_bind_text(insert, 2, clock_boot_id());
    sqlite3_bind_int64(insert, 3, clock_wall_ms() - clock_uptime_ms());
    sqlite3_bind_int(insert, 4, clock_synchronised());
    int error = db_run(&queue->db, insert, "start a run");
    sqlite3_finalize(insert);
    if (error != 0)
        return error;
    queue->run = sqlite3_last_insert_rowid(queue->db.handle);

    cleanup_free char *prune = xasprintf("%s AND id <> %lld", prune_runs_sql, (long long)queue->run);
    return db_result(&queue->db, sqlite3_exec(queue->db.handle, prune, NULL, NULL, NULL), "prune runs");
}

static int prepare_all(struct queue *queue)
{
    for (int i = 0; i < Q_STATEMENTS; i++) {
        queue->statements[i] = db_prepare(&queue->db, statement_sql[i]);
        if (!queue->statements[i])
            return -EIO;
    }
    return 0;
}

static void queue_free(struct queue *queue)
{
    for (int i = 0; i < Q_STATEMENTS; i++)
        sqlite3_finalize(queue->statements[i]);
    if (queue->db.handle)
        db_close(&queue->db);
    if (queue->lock_fd >= 0)
        close(queue->lock_fd);
    free(queue->settled.ids);
    free(queue->unconfirmed.ids);
    free(queue);
}

int queue_open(const char *path, struct queue **ret, char **ret_why)
{
    struct queue *queue = xcalloc(1, sizeof *queue);
    queue->lock_fd = -1;
    char *why = NULL;
    int error = take_lock(path, &queue->lock_fd);
    if (error == -EBUSY)
        why = xasprintf("%s: another sluice uses this queue: stop it first", path);
    else if (error != 0)
        why = xasprintf("%s-lock: %s: the directory must exist and belong to sluice's user", path,
                        strerror(-error));
    if (error == 0)
        error = db_open(path, &queue->db, &why);
    if (error == 0)
        error = prepare_all(queue);
    if (error == 0)
        error = queue_transaction(queue, DB_SYNC, start_run, NULL);
    if (error != 0) {
        *ret_why = why ? why : xasprintf("%s: cannot be written: %s", path, strerror(-error));
        queue_free(queue);
        return error;
    }
    int64_t highest = query_number(queue, "SELECT max(id) FROM message");
    int64_t highest_dead = query_number(queue, "SELECT max(id) FROM dead_letter");
    queue->last_id = highest;
    if (queue->confirmed > highest) /* ids start again when the queue is empty */
        queue->confirmed = highest;
    queue->next_id = (highest > highest_dead ? highest : highest_dead) + 1;
    *ret = queue;
    return 0;
}

static int end_run(struct queue *queue, void *unused)
{
    sqlite3_bind_int64(queue->statements[Q_END_RUN], 1, queue->run);
    sqlite3_bind_int64(queue->statements[Q_END_RUN], 2, queue->confirmed);
    int error = db_run(&queue->db, queue->statements[Q_END_RUN], "note the end of a run");
    return error != 0 ? error : queue_delete_settled(queue, unused);
}

void queue_close(struct queue *queue)
{
    if (!queue)
        return;
    if (queue_transaction(queue, DB_LAZY, end_run, NULL) != 0)
        log_info("queue: the last deletes are lost; those messages are sent again under the same keys");
    queue_free(queue);
}

int64_t queue_last_id(const struct queue *queue)
{
    return queue->last_id;
}

void queue_trim(struct queue *queue)
{
    sqlite3_db_release_memory(queue->db.handle);
}

bool queue_is_damaged(const struct queue *queue)
{
    return queue->db.damaged;
}
