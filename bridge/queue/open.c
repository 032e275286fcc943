/* queue/open.c - opening and closing the queue. */
#include "base/log.h"
#include "queue/access.h"
#include "queue/clock.h"
#include "queue/confirm.h"
#include "queue/count.h"
#include "queue/dropped.h"
#include "queue/external_changes.h"
#include "queue/files.h"
#include "queue/ids.h"
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
static queue_ended_fn *const observers[] = {queue_ids_ended,
                                            queue_count_ended,
                                            queue_confirm_ended,
                                            queue_settle_ended,
                                            queue_drop_ended,
                                            queue_storage_ended,
                                            NULL};

/* ---- a run begins ---- */

struct start {
    bool last_run_known;
    struct run_clock run; /* the new one, to be used once it is committed */
};

static int start_run(struct queue *queue, void *context)
{
    struct start *start = context;
    struct run_clock *run = &start->run;
    struct clock_epoch now = clock_epoch();
    int error = queue_ids_read(queue, start->last_run_known ? 0 : IDS_LOST);
    if (error == 0)
        error = queue_confirmed_read(queue);
    if (error == 0)
        error = queue_run_start(queue, &now, run);
    if (error != 0)
        return error;
    queue->run = run->run;
    error = queue_confirmed_write(queue);
    if (error == 0)
        error = queue_run(queue, Q_RUNS_PRUNE_OLD, run->run, 0, "delete old runs");
    if (error == 0)
        error = queue_run(queue, Q_RUNS_PRUNE_NEW, run->run, 0, "delete runs without messages");
    if (error == 0) /* all of it will be read anyway */
        error = queue_run(queue, Q_RESCAN_DELETE, 0, 0, "forget which messages were retried");
    return error != 0 ? error : queue_run(queue, Q_NO_PROBLEMS, 0, 0, "forget old problems");
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
    if (queue->clock.token[0] != '\0')
        queue_lock_write(queue->lock_fd, queue->db.damaged ? LOCK_DAMAGED : LOCK_CLOSED, queue->clock.token);
    if (queue->lock_fd >= 0)
        close(queue->lock_fd);
    queue_reserve_free(queue->storage.reserve);
    queue_problems_free(queue);
    free(queue->settled.ids);
    free(queue->unconfirmed.ids);
    free(queue->path);
    free(queue);
}

/* A database without the last run that the lock file knows is an older one, or lost it in a
 * salvage. */
static bool has_last_run(struct queue *queue, const char *token, bool is_salvaged)
{
    int64_t count = 0;
    cleanup_free char *sql =
        xasprintf("SELECT count(*) FROM run WHERE token = '%s' AND boot_id <> 'lost'", token);
    return (token[0] == '\0' && !is_salvaged) || db_number(&queue->db, sql, &count) != 0 || count > 0;
}

/* token: of the last run; "": not known. */
static int open_database(struct queue *queue, enum db_trust trust, const char *token, bool is_salvaged,
                         char **ret_why)
{
    int error = db_open(queue->path, trust, &queue->db, ret_why);
    if (error != 0)
        return error;
    error = prepare_all(queue);
    struct start start = {.last_run_known = error != 0 || has_last_run(queue, token, is_salvaged)};
    if (!start.last_run_known && !is_salvaged)
        log_error(
            EVENT_QUEUE_OUTDATED,
            "%s: the last run that used it is missing: its write-ahead log (%s-wal) was lost, or this is an "
            "older copy; messages stored since then are not in it",
            queue->path, queue->path);
    if (error == 0)
        error = queue_transaction(queue, DB_SYNC, start_run, &start);
    if (error == -ENOSPC) /* the failed transaction removed the reserve */
        error = queue_transaction(queue, DB_SYNC, start_run, &start);
    if (error == 0) {
        queue->clock = start.run;
        queue_files_note(queue);
        queue_external_changes_begin(queue);
    }
    return queue->db.damaged ? -EBADMSG : error;
}

/* Opens it; if it is damaged, or was when it was closed, salvages it first. */
static int open_or_salvage(struct queue *queue, char **ret_why)
{
    char token[17] = "";
    int error = queue_salvage_resume(queue->path, ret_why);
    if (error != 0)
        return error;
    enum lock_state last = queue_lock_read(queue->lock_fd, token);
    cleanup_free char *seen = queue_salvage_check_wal(queue->path);
    enum db_trust trust = queue->db.damaged || seen || last == LOCK_DAMAGED ? DB_DAMAGED
                          : last == LOCK_RUNNING                            ? DB_DOUBTED
                                                                            : DB_TRUSTED;
    error = open_database(queue, trust, token, false, ret_why);
    if (error == -ENOSPC && queue_reserve_remove(queue->storage.reserve)) {
        log_warning(EVENT_RESERVE_USED,
                    "%s: the disk is full; the reserve file was removed to open the queue", queue->path);
        close_database(queue);
        free(*ret_why);
        *ret_why = NULL;
        queue->storage.out_of_space = true;
        error = open_database(queue, trust, token, false, ret_why);
    }
    if (error != -EBADMSG)
        return error;
    close_database(queue);
    free(*ret_why);
    *ret_why = NULL;
    log_error(EVENT_QUEUE_DAMAGED, "%s: %s; readable rows are salvaged into a new database", queue->path,
              seen ? seen : "damaged, or not a database");
    error = queue_salvage(queue->path, ret_why);
    return error != 0 ? error : open_database(queue, DB_TRUSTED, token, true, ret_why);
}

/* Why it cannot be locked. */
static char *lock_fault(const char *path, int error)
{
    if (error == -EBUSY)
        return xasprintf("%s: another sluice uses this queue: stop it first", path);
    return xasprintf("%s-lock: %s: the directory must exist and belong to sluice's user", path,
                     strerror(-error));
}

/* Takes the reason so far. What a person can do about files of another user counts more. */
static char *open_fault(const char *path, int error, char *why)
{
    cleanup_free char *remedy = error == -EBUSY ? NULL : queue_access_remedy(path, NULL, NULL);
    if (!remedy)
        return why ? why : xasprintf("%s: cannot be written: %s", path, strerror(-error));
    free(why);
    return xasprintf("%s: sluice's user may not use all files of the queue; %s", path, remedy);
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
    if (error != 0)
        why = lock_fault(path, error);
    else
        error = open_or_salvage(queue, &why);
    if (error != 0) {
        *ret_why = open_fault(path, error, why);
        close_database(queue);
        queue_free(queue);
        return error;
    }
    queue_lock_write(queue->lock_fd, LOCK_RUNNING, queue->clock.token);
    *ret = queue;
    return 0;
}

/* The rows of the damaged database are not those of the new one. */
static void forget_rows(struct queue *queue)
{
    queue->files = (struct db_files){0};
    queue->kept_look_ms = 0;
    queue->known_run.id = 0;
    queue->data_version = 0;
    queue->edition++;
    queue->count = queue->dead = (struct count){.known = false};
    queue->readers = (struct queue_readers){.since_ms = 0};
    queue->limits.measured_ms = queue->limits.page_bytes = 0;
    queue->drops.cursor = queue->drops.age_cursor = 0;
    queue_problems_forget(queue);
}

/* In memory, for a database that cannot be opened. */
static void stand_in(struct queue *queue)
{
    close_database(queue);
    if (db_open_stand_in(&queue->db) != 0 || prepare_all(queue) != 0)
        abort(); /* out of memory */
}

/* Closes the database, after what lost files have was saved. Errors with *ret_why: while queue->lost,
 * they are open as before. */
static int close_to_reopen(struct queue *queue, char **ret_why)
{
    struct queue_saved saved;
    int error = queue->lost ? queue_files_save(queue, &saved, ret_why) : 0;
    if (error != 0)
        return error;
    if (queue->db.damaged)
        queue_lock_write(queue->lock_fd, LOCK_DAMAGED, queue->clock.token);
    close_database(queue);
    if (!queue->lost)
        return 0;
    error = queue_files_put_back(queue, &saved, ret_why);
    queue->lost = false;
    queue_reserve_free(queue->storage.reserve);
    queue->storage.reserve = queue_reserve_new(queue->path);
    return error;
}

int queue_reopen(struct queue *queue, char **ret_why)
{
    char *why = NULL;
    int64_t confirmed_id = queue_confirmed_id(queue), last_id = queue->last_id;
    if (queue_files_look(queue) == 0 && !queue->db.damaged)
        return 0; /* they are in their places again */
    int error = close_to_reopen(queue, &why);
    if (error != 0 && queue->lost) {
        *ret_why = why;
        return error;
    }
    forget_rows(queue);
    if (error == 0)
        error = open_or_salvage(queue, &why);
    if (error != 0) {
        *ret_why = why ? why : xasprintf("%s: %s", queue->path, strerror(-error));
        stand_in(queue);
    } else {
        queue_lock_write(queue->lock_fd, LOCK_RUNNING, queue->clock.token);
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
        error = queue_ids_reserve(queue, queue->run, 0);
    if (error == 0)
        error = queue_drained_save(queue, true);
    if (error == 0)
        error = queue_run(queue, Q_NO_PROBLEMS, 0, 0, "forget old problems");
    return error != 0 ? error : queue_settled_delete(queue, SIZE_MAX);
}

void queue_close(struct queue *queue)
{
    if (!queue)
        return;
    char *why = NULL;
    if (queue_files_look(queue) != 0 && queue_reopen(queue, &why) != 0)
        log_error(EVENT_QUEUE_UNUSABLE, "%s", why);
    free(why);
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

bool queue_is_lost(const struct queue *queue)
{
    return queue->lost;
}

bool queue_is_damaged(const struct queue *queue)
{
    return queue->db.damaged;
}
