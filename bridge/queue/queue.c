/* queue/queue.c - opening and closing the queue, and what its files share. What they
 * promise is in queue/queue.h; the columns are explained in schema/.
 */
#include "queue/queue.h"
#include "base/log.h"
#include "queue/internal.h"
#include "queue/salvage/salvage.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* In the order of queue/read.c. */
#define ROW_COLUMNS                                                                                          \
    "id, run, route, topic, source, method, target, content_type, uptime_ms, late_since_uptime_ms,"          \
    " packet_id, attempts, idempotency_key"

/* clang-format off */
const char *const queue_statement_sql[Q_STATEMENTS] = {
    [Q_APPEND] =
        "INSERT INTO message (id, run, route, topic, uptime_ms, source, method, target, content_type,"
        " packet_id, late_since_uptime_ms, payload, idempotency_key)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    [Q_FIND_REPEATED] =
        /* Among the latest few: a client that gives all its requests one key must not make each of
         * them slower than the last. */
        "SELECT id, payload FROM message WHERE id IN (SELECT id FROM message WHERE idempotency_key = ?1"
        " AND route = ?2 ORDER BY id DESC LIMIT 32) AND topic = ?3 AND method = ?4 AND target = ?5"
        " AND abs(length(payload) - ?6) <= 9", /* an age may gain digits */
    [Q_DELETE] =
        "DELETE FROM message WHERE id BETWEEN ?1 AND ?2",
    [Q_SCAN] =
        "SELECT id, route, topic FROM message WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
    [Q_COPY] =
        "SELECT " ROW_COLUMNS ", CASE WHEN length(payload) <= 256 THEN payload END FROM message"
        " WHERE id = ?1",
    [Q_FETCH] =
        "SELECT " ROW_COLUMNS ", payload FROM message WHERE id = ?1",
    [Q_VERSION] =
        "PRAGMA data_version",
    [Q_RUN] =
        "SELECT token, boot_id, epoch_ms, synchronised, away_since_ms FROM run WHERE id = ?1",
    [Q_PACKETS] =
        "SELECT id, packet_id, packet_digest(topic, payload) FROM message"
        " WHERE id > ?1 AND packet_id IS NOT NULL"
        " UNION ALL SELECT id, packet_id, packet_digest(topic, payload) FROM dead_letter"
        " WHERE id > ?1 AND packet_id IS NOT NULL"
        " UNION ALL SELECT id, packet_id, digest FROM fingerprint WHERE id > ?1"
        " ORDER BY id",
    [Q_LEAVE_MARK] =
        "INSERT OR REPLACE INTO fingerprint (id, packet_id, digest)"
        " SELECT id, packet_id, packet_digest(topic, payload) FROM message"
        " WHERE id BETWEEN ?1 AND ?2 AND packet_id IS NOT NULL",
    [Q_DELETE_MARKS] =
        "DELETE FROM fingerprint WHERE id <= ?1",
    [Q_BLAME] =
        "UPDATE message SET attempts = ?2, last_status = ?3, last_error = ?4,"
        " history = history_add(history, ?5, ?6, ?2, ?3, ?4) WHERE id = ?1",
    [Q_BURY] =
        "INSERT INTO dead_letter (id, run, route, topic, uptime_ms, source, method, target, content_type,"
        " packet_id, late_since_uptime_ms, attempts, last_status, last_error, died_ms, reason, payload, idempotency_key,"
        " history) SELECT id, run, route, topic, uptime_ms, source, method, target, content_type,"
        " packet_id, late_since_uptime_ms, ?2, ?3, ?4, ?5, ?6, payload, idempotency_key,"
        " history_add(history, ?5, ?6, ?2, ?3, ?4) FROM message WHERE id = ?1",
    [Q_TOUCH_RUN] =
        "UPDATE run SET token = token WHERE id = ?1",
    [Q_OLDEST_ID] =
        "SELECT id FROM message WHERE id > 0 ORDER BY id LIMIT 1",
    [Q_CONFIRMED] =
        "UPDATE run SET confirmed_id = ?2 WHERE id = ?1",
    [Q_NOTE_DRAINED] =
        "UPDATE run SET drained_ms = ?2 WHERE id = ?1",
    [Q_PAGE_SIZE] =
        "PRAGMA page_size",
    [Q_PAGE_COUNT] =
        "PRAGMA page_count",
    [Q_FREE_PAGES] =
        "PRAGMA freelist_count",
    [Q_COUNT] =
        "SELECT id FROM message WHERE id > ?1 ORDER BY id LIMIT ?2",
    [Q_OLDEST] =
        "SELECT id, route, length(payload) FROM message WHERE id > ?1 ORDER BY id LIMIT 1",
    [Q_OLDEST_DEAD] =
        "SELECT id, route, length(payload) FROM dead_letter WHERE id > ?1 ORDER BY id LIMIT 1",
    [Q_DELETE_DEAD] =
        "DELETE FROM dead_letter WHERE id = ?1",
    [Q_AGES] =
        "SELECT m.id, m.route, length(m.payload), m.uptime_ms, r.boot_id, r.epoch_ms, r.synchronised"
        " FROM message AS m LEFT JOIN run AS r ON r.id = m.run WHERE m.id > ?1 ORDER BY m.id LIMIT ?2",
    [Q_DROPPED] =
        "INSERT INTO dropped (reason, route, messages, bytes, since_ms, last_ms) VALUES (?1, ?2, 1, ?3, ?4, ?4)"
        " ON CONFLICT (reason, route) DO UPDATE SET messages = messages + 1, bytes = bytes + ?3, last_ms = ?4",
    [Q_PROBLEM] =
        "INSERT INTO problem (name, since_ms, description) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (name) DO UPDATE SET since_ms = ?2, description = ?3",
    [Q_PROBLEM_OVER] =
        "DELETE FROM problem WHERE name = ?1",
    [Q_NO_PROBLEMS] =
        "DELETE FROM problem",
    [Q_RETURNED] =
        "SELECT from_id FROM rescan WHERE one = 1",
    [Q_RETURNED_OVER] =
        "DELETE FROM rescan WHERE one = 1",
    [Q_BY_HAND] =
        "SELECT coalesce(sum(messages), 0) FROM dropped WHERE reason = 'by-hand'",
    [Q_DEVICE] =
        "SELECT boot, up_to, ahead, earlier, lives, first, stored, lost, speaker, steady, returns, last_ms"
        " FROM device_state WHERE ack_topic = ?1",
    [Q_DEVICE_SAVE] =
        "INSERT INTO device_state (ack_topic, route, boot, up_to, ahead, gaps, earlier, lives, first, stored, lost,"
        " since_ms, last_ms, speaker, steady, returns)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12, ?13, ?14, ?15)"
        " ON CONFLICT (ack_topic) DO UPDATE SET route = ?2, boot = ?3, up_to = ?4, ahead = ?5, gaps = ?6, earlier = ?7,"
        " lives = ?8, first = ?9, stored = ?10, lost = ?11, last_ms = ?12, speaker = ?13,"
        " steady = ?14, returns = ?15",
    [Q_DEVICES_PRUNE] =
        "DELETE FROM device_state WHERE ack_topic IN (SELECT ack_topic FROM device_state ORDER BY last_ms"
        " LIMIT max(0, (SELECT count(*) FROM device_state) - ?1))",
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
    if (error == 0) {
        error = work(queue, context);
        if (error == 0)
            error = db_commit(&queue->db);
        else
            db_rollback(&queue->db);
    }
    queue_transaction_ended(queue, sync, error == 0, error);
    return error;
}

void queue_transaction_ended(struct queue *queue, enum db_sync sync, bool committed, int error)
{
    queue_count_ended(queue, committed);
    queue_drop_ended(queue, committed);
    queue_storage_ended(queue, sync, committed, error);
}

/* ---- opening and closing ---- */

/* The first column of the first row, or 0 where there is none. */
static int query_number(struct queue *queue, const char *sql, int64_t *ret)
{
    sqlite3_stmt *statement = db_prepare(&queue->db, sql);
    if (!statement)
        return -EIO;
    int code = sqlite3_step(statement);
    int64_t number = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    int error = db_result(&queue->db, code, "read the queue");
    sqlite3_finalize(statement);
    if (error == 0)
        *ret = number;
    return error;
}

/* Runs of which nothing is left need no row. Ids grow with runs, over messages and
 * dead letters alike, so what is oldest and what is newest there tells which runs
 * may be needed, without a look at the rows between: those before and those behind
 * are not. Of the runs between some stay needlessly, but only some in which a
 * message was stored; starts that come to nothing leave no row for ever. Those that
 * a salvage made up for rows that had lost theirs are out of that order. */
static const char *const prune_runs_sql[] = {
    "DELETE FROM run WHERE boot_id <> 'lost' AND id < min("
    "coalesce((SELECT run FROM message WHERE id = (SELECT min(id) FROM message)), ?1),"
    " coalesce((SELECT run FROM dead_letter WHERE id = (SELECT min(id) FROM dead_letter)), ?1))",
    "DELETE FROM run WHERE boot_id <> 'lost' AND id < ?1 AND id > max("
    "coalesce((SELECT run FROM message WHERE id = (SELECT max(id) FROM message)), 0),"
    " coalesce((SELECT run FROM dead_letter WHERE id = (SELECT max(id) FROM dead_letter)), 0))",
};

static int prune_runs(struct queue *queue)
{
    int error = 0;
    for (size_t i = 0; i < ARRAY_LEN(prune_runs_sql) && error == 0; i++) {
        sqlite3_stmt *prune = db_prepare(&queue->db, prune_runs_sql[i]);
        if (!prune)
            return -EIO;
        sqlite3_bind_int64(prune, 1, queue->run);
        error = db_run(&queue->db, prune, "prune runs");
        sqlite3_finalize(prune);
    }
    return error;
}

static int start_run(struct queue *queue, void *unused)
{
    (void)unused;
    int64_t highest = 0, confirmed = 0;
    int error = query_number(queue, "SELECT confirmed_id FROM run ORDER BY id DESC LIMIT 1", &confirmed);
    if (error == 0)
        error = query_number(queue,
                             "SELECT max(coalesce((SELECT max(id) FROM message), 0),"
                             " coalesce((SELECT max(id) FROM dead_letter), 0),"
                             " coalesce((SELECT max(id) FROM fingerprint), 0))",
                             &highest);
    if (error != 0)
        return error;
    queue->confirmed = confirmed < highest ? confirmed : highest; /* ids start again when it is empty */
    struct clock_epoch now = clock_epoch();
    error = queue_run_start(queue, &now, &queue->clock);
    if (error != 0)
        return error;
    queue->run = queue->clock.run;
    error = queue_write_confirmed(queue, NULL);
    if (error == 0)
        error = prune_runs(queue);
    if (error == 0) /* everything is looked at now */
        error = db_run(&queue->db, queue->statements[Q_RETURNED_OVER], "forget what came back");
    return error != 0 ? error : db_run(&queue->db, queue->statements[Q_NO_PROBLEMS], "forget what was wrong");
}

static int prepare_all(struct queue *queue)
{
    for (int i = 0; i < Q_STATEMENTS; i++) {
        queue->statements[i] = db_prepare(&queue->db, queue_statement_sql[i]);
        if (!queue->statements[i])
            return -EIO;
    }
    return 0;
}

static void close_database(struct queue *queue)
{
    for (int i = 0; i < Q_STATEMENTS; i++) {
        sqlite3_finalize(queue->statements[i]);
        queue->statements[i] = NULL;
    }
    if (queue->db.handle)
        db_close(&queue->db);
}

static void queue_free(struct queue *queue)
{
    if (queue->token[0] != '\0')
        queue_set_mark(queue->lock_fd, queue->db.damaged ? MARK_DAMAGED : MARK_CLOSED, queue->token);
    if (queue->lock_fd >= 0)
        close(queue->lock_fd);
    queue_reserve_free(queue->storage.reserve);
    queue_problems_free(queue);
    free(queue->settled.ids);
    free(queue->unconfirmed.ids);
    free(queue->path);
    free(queue);
}

/* The lock file knows the last run. A database that does not is older. */
static void look_for_run(struct queue *queue, const char *token)
{
    int64_t known = 1;
    cleanup_free char *sql = xasprintf("SELECT count(*) FROM run WHERE token = '%s'", token);
    if (token[0] != '\0' && query_number(queue, sql, &known) == 0 && known == 0)
        log_error(
            EVENT_QUEUE_OUTDATED,
            "%s: the last run that used it is missing: its write-ahead log (%s-wal) was lost, or this is an "
            "older copy; messages stored since then are not in it",
            queue->path, queue->path);
}

static void read_token(struct queue *queue)
{
    sqlite3_stmt *row = db_prepare(&queue->db, "SELECT token FROM run WHERE id = ?1");
    sqlite3_bind_int64(row, 1, queue->run);
    if (row && db_step(row, "t") == SQLITE_ROW)
        snprintf(queue->token, sizeof queue->token, "%s", (const char *)sqlite3_column_text(row, 0));
    sqlite3_finalize(row);
}

static int read_ids(struct queue *queue)
{
    int64_t highest = 0, highest_dead = 0;
    int error = query_number(queue, "SELECT max(id) FROM message", &highest);
    if (error == 0)
        error = query_number(queue, "SELECT max(id) FROM fingerprint", &queue->marked);
    if (error == 0)
        error = query_number(queue, "SELECT max(id) FROM dead_letter", &highest_dead);
    if (error != 0)
        return error;
    highest = queue->marked > highest ? queue->marked : highest;
    int64_t next_id = (highest > highest_dead ? highest : highest_dead) + 1;
    queue->last_id = highest;
    if (next_id > queue->next_id)
        queue->next_id = next_id;
    return 0;
}

/* token: of the last run; "": not known. */
static int open_database(struct queue *queue, enum db_trust trust, const char *token, char **ret_why)
{
    int error = db_open(queue->path, trust, &queue->db, ret_why);
    if (error != 0)
        return error;
    error = prepare_all(queue);
    if (error == 0)
        look_for_run(queue, token);
    if (error == 0)
        error = queue_transaction(queue, DB_SYNC, start_run, NULL);
    if (error == -ENOSPC) /* the reserve was given up for this */
        error = queue_transaction(queue, DB_SYNC, start_run, NULL);
    if (error == 0)
        error = read_ids(queue);
    if (error == 0) {
        queue->confirmed_written = queue->confirmed;
        read_token(queue);
        queue_by_hand_begin(queue);
    }
    return queue->db.damaged ? -EBADMSG : error;
}

/* Opens it, and salvages it before where it is damaged. */
static int open_sound(struct queue *queue, bool damaged, salvage_progress_fn *progress, void *context,
                      char **ret_why)
{
    char token[17] = "";
    int error = queue_salvage_resume(queue->path, ret_why);
    if (error != 0)
        return error;
    enum queue_mark mark = queue_mark(queue->lock_fd, token);
    cleanup_free char *seen = queue_salvage_look(queue->path);
    enum db_trust trust = damaged || seen || mark == MARK_DAMAGED ? DB_DAMAGED
                          : mark == MARK_RUNNING                  ? DB_DOUBTED
                                                                  : DB_TRUSTED;
    error = open_database(queue, trust, token, ret_why);
    if (error == -ENOSPC && queue_reserve_remove(queue->storage.reserve)) {
        log_warning(EVENT_RESERVE_USED,
                    "%s: the disk is full; the reserve file was removed to open the queue", queue->path);
        close_database(queue);
        free(*ret_why);
        *ret_why = NULL;
        queue->storage.out_of_space = true;
        error = open_database(queue, trust, token, ret_why);
    }
    if (error != -EBADMSG)
        return error;
    close_database(queue);
    free(*ret_why);
    *ret_why = NULL;
    log_error(EVENT_QUEUE_DAMAGED, "%s: %s; readable rows are salvaged into a new database", queue->path,
              seen ? seen : "damaged, or not a database");
    error = queue_salvage(queue->path, progress, context, ret_why);
    return error != 0 ? error : open_database(queue, DB_TRUSTED, "", ret_why);
}

int queue_open(const char *path, struct queue **ret, char **ret_why)
{
    struct queue *queue = xcalloc(1, sizeof *queue);
    queue->lock_fd = -1;
    queue->path = xstrdup(path);
    queue->storage.reserve = queue_reserve_new(path);
    char *why = NULL;
    int error = queue_lock(path, &queue->lock_fd);
    if (error == -EBUSY)
        why = xasprintf("%s: another sluice uses this queue: stop it first", path);
    else if (error != 0)
        why = xasprintf("%s-lock: %s: the directory must exist and belong to sluice's user", path,
                        strerror(-error));
    if (error == 0)
        error = open_sound(queue, false, NULL, NULL, &why);
    if (error != 0) {
        *ret_why = why ? why : xasprintf("%s: cannot be written: %s", path, strerror(-error));
        close_database(queue);
        queue_free(queue);
        return error;
    }
    queue_set_mark(queue->lock_fd, MARK_RUNNING, queue->token);
    *ret = queue;
    return 0;
}

/* What was known of the rows of a database that is no more. */
static void forget_rows(struct queue *queue)
{
    queue->known_run.id = 0;
    queue->data_version = 0;
    queue->edition++;
    queue->count = (struct count){.known = false};
    queue->readers = (struct queue_readers){.since_ms = 0};
    queue->limits.measured_ms = queue->limits.page_bytes = 0;
    queue->limits.drop_cursor = queue->limits.age_cursor = 0;
    for (size_t i = 0; i < QUEUE_PROBLEMS; i++) {
        free(queue->problems[i].written);
        queue->problems[i].written = NULL;
    }
}

int queue_reopen(struct queue *queue, salvage_progress_fn *progress, void *context, char **ret_why)
{
    char *why = NULL;
    int64_t confirmed = queue->confirmed, last_id = queue->last_id;
    queue_set_mark(queue->lock_fd, MARK_DAMAGED, queue->token);
    close_database(queue);
    forget_rows(queue);
    int error = open_sound(queue, true, progress, context, &why);
    if (error != 0) {
        *ret_why = why ? why : xasprintf("%s: %s", queue->path, strerror(-error));
        close_database(queue);
        if (db_open_stand_in(&queue->db) != 0 || prepare_all(queue) != 0)
            abort(); /* out of memory */
    } else {
        queue_set_mark(queue->lock_fd, MARK_RUNNING, queue->token);
    }
    queue->confirmed = confirmed > queue->confirmed ? confirmed : queue->confirmed;
    queue->last_id = last_id > queue->last_id ? last_id : queue->last_id;
    return error;
}

static int end_run(struct queue *queue, void *unused)
{
    int error = queue_write_confirmed(queue, unused);
    if (error == 0)
        error = queue_note_drained(queue, true);
    if (error == 0)
        error = db_run(&queue->db, queue->statements[Q_NO_PROBLEMS], "forget what was wrong");
    return error != 0 ? error : queue_delete_settled(queue, unused);
}

void queue_close(struct queue *queue)
{
    if (!queue)
        return;
    if (queue_transaction(queue, DB_LAZY, end_run, NULL) != 0)
        log_info(EVENT_DELETES_LOST,
                 "the last deletes are lost; these messages are sent again with the same keys");
    close_database(queue);
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
