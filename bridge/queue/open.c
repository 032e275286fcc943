/* queue/open.c - opening and closing the queue. */
#include "base/log.h"
#include "queue/clock.h"
#include "queue/confirm.h"
#include "queue/count.h"
#include "queue/drop.h"
#include "queue/external_changes.h"
#include "queue/lock.h"
#include "queue/problems.h"
#include "queue/salvage/salvage.h"
#include "queue/settle.h"
#include "queue/storage.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* They learn how each transaction ended. */
static queue_ended_fn *const observers[] = {queue_count_ended, queue_confirm_ended, queue_settle_ended,
                                            queue_drop_ended,  queue_storage_ended, NULL};

/* ---- a run begins ---- */

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

static int read_ids(struct queue *queue)
{
    int64_t message = 0, fingerprint = 0, dead_letter = 0;
    int error = db_number(&queue->db, "SELECT max(id) FROM message", &message);
    if (error == 0)
        error = db_number(&queue->db, "SELECT max(id) FROM fingerprint", &fingerprint);
    if (error == 0)
        error = db_number(&queue->db, "SELECT max(id) FROM dead_letter", &dead_letter);
    if (error != 0)
        return error;
    queue->last_id = fingerprint > message ? fingerprint : message;
    int64_t highest = queue->last_id > dead_letter ? queue->last_id : dead_letter;
    if (highest >= queue->next_id)
        queue->next_id = highest + 1;
    return queue_confirmed_read(queue, highest);
}

static int start_run(struct queue *queue, void *unused)
{
    (void)unused;
    int error = read_ids(queue);
    if (error != 0)
        return error;
    struct clock_epoch now = clock_epoch();
    error = queue_run_start(queue, &now, &queue->clock);
    if (error != 0)
        return error;
    queue->run = queue->clock.run;
    error = queue_confirmed_write(queue);
    if (error == 0)
        error = prune_runs(queue);
    if (error == 0) /* all of it will be read anyway */
        error = db_run(&queue->db, queue->statements[Q_RESCAN_DELETE], "forget which messages were retried");
    return error != 0 ? error : db_run(&queue->db, queue->statements[Q_NO_PROBLEMS], "forget old problems");
}

/* ---- opening ---- */

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
        queue_lock_write(queue->lock_fd, queue->db.damaged ? LOCK_DAMAGED : LOCK_CLOSED, queue->token);
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
    if (token[0] != '\0' && db_number(&queue->db, sql, &known) == 0 && known == 0)
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
    if (error == 0) {
        read_token(queue);
        queue_external_changes_begin(queue);
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
    enum lock_state last = queue_lock_read(queue->lock_fd, token);
    cleanup_free char *seen = queue_salvage_check_wal(queue->path);
    enum db_trust trust = damaged || seen || last == LOCK_DAMAGED ? DB_DAMAGED
                          : last == LOCK_RUNNING                  ? DB_DOUBTED
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
    queue->tx.observers = observers;
    queue->next_id = 1;
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
    queue_lock_write(queue->lock_fd, LOCK_RUNNING, queue->token);
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
    queue->drops.cursor = queue->drops.age_cursor = 0;
    queue_problems_forget(queue);
}

int queue_reopen(struct queue *queue, salvage_progress_fn *progress, void *context, char **ret_why)
{
    char *why = NULL;
    int64_t confirmed_id = queue_confirmed_id(queue), last_id = queue->last_id;
    queue_lock_write(queue->lock_fd, LOCK_DAMAGED, queue->token);
    close_database(queue);
    forget_rows(queue);
    int error = open_sound(queue, true, progress, context, &why);
    if (error != 0) {
        *ret_why = why ? why : xasprintf("%s: %s", queue->path, strerror(-error));
        close_database(queue);
        if (db_open_stand_in(&queue->db) != 0 || prepare_all(queue) != 0)
            abort(); /* out of memory */
    } else {
        queue_lock_write(queue->lock_fd, LOCK_RUNNING, queue->token);
    }
    queue_confirm(queue, confirmed_id);
    queue->last_id = last_id > queue->last_id ? last_id : queue->last_id;
    return error;
}

static int end_run(struct queue *queue, void *unused)
{
    (void)unused;
    int error = queue_confirmed_write(queue);
    if (error == 0)
        error = queue_drained_save(queue, true);
    if (error == 0)
        error = db_run(&queue->db, queue->statements[Q_NO_PROBLEMS], "forget old problems");
    return error != 0 ? error : queue_settled_delete(queue, SIZE_MAX);
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
