/* queue/storage.c - a storage that fails, and free space.
 *
 * A full disk, step by step. A write fails (SQLITE_FULL): the reserve is removed,
 * nothing more is taken in, and what was delivered can be deleted again, for now
 * the log has space. Here the pages that become free are cut off the file, and the
 * log is, so that the disk has that space. When there is enough for the reserve
 * beside what min_free leaves to others, it is written again, and only when it is
 * there does the queue take in more. A disk that others fill up stays full; then
 * the queue waits, and says so.
 *
 * Free space inside of the file is normal: a queue breathes, and giving each page
 * back at once, to take it again a minute later, would wear an SD card for nothing.
 * So some of it is kept, and the rest is given back in small steps when little goes
 * on, without a sync of its own.
 */
#include "queue/storage.h"
#include "base/log.h"
#include "queue/limits.h"

#include <errno.h>
#include <string.h>

enum {
    SLACK_BYTES = 4 * 1024 * 1024, /* free pages that are kept */
    QUIET_PAGES = 256,             /* given back in a step, when little goes on */
    BUSY_PAGES = 64,               /* and otherwise */
};

/* ---- storage that fails ---- */

static void run_out_of_space(struct queue *queue)
{
    bool had = queue_reserve_remove(queue->storage.reserve);
    if (had)
        log_warning(EVENT_RESERVE_USED,
                    "the disk is full; the reserve of %d MiB was removed so that deliveries can go on",
                    QUEUE_RESERVE_BYTES >> 20);
    queue->storage.out_of_space = true;
    queue->storage.try_again_ms = 0;
}

void queue_storage_ended(struct queue *queue, const struct queue_end *end)
{
    struct storage *storage = &queue->storage;
    switch (end->error) {
    case 0:
        if (end->committed && end->sync == DB_SYNC)
            storage->failing = false;
        return;
    case -EBUSY:
    case -ENOENT:
    case -ENOMEM:
    case -EMSGSIZE:
        return; /* these are not the storage's */
    case -ENOSPC:
    case -EDQUOT:
        run_out_of_space(queue);
        break;
    }
    storage->failing = true;
    storage->error = end->error;
}

bool queue_fails(const struct queue *queue)
{
    return queue->storage.failing;
}

void queue_storage_problem_set(struct queue *queue)
{
    struct storage *storage = &queue->storage;
    cleanup_free char *words = NULL;
    if (storage->out_of_space)
        words =
            xasprintf("the disk is full: messages wait at the broker, what is stored is delivered; make room "
                      "beside %s",
                      queue->path);
    else if (storage->failing)
        words =
            xasprintf("%s cannot be written (%s): messages wait at the broker, what is stored is delivered",
                      queue->path, strerror(-storage->error));
    else if (queue->db.checkpoint_error != 0)
        words = xasprintf("%s cannot be written (%s): what is stored is safe in the write-ahead log, which "
                          "grows; look at the disk",
                          queue->path, strerror(-queue->db.checkpoint_error));
    queue_problem_set(queue, "storage", words);
}

/* ---- the reserve ---- */

/* Where there is not enough space for it, it is tried again when there is. */
int queue_reserve_make(struct queue *queue)
{
    struct storage *storage = &queue->storage;
    if (queue_reserve_is_made(storage->reserve))
        return 0;
    if (queue_disk_free(queue) < queue->limits.min_free + queue_reserve_lacks(storage->reserve))
        return 0;
    int error = queue_reserve_step(storage->reserve);
    if (error != 0 && error != storage->reserve_error)
        log_warning(EVENT_RESERVE_FAILED, "%s-reserve: %s", queue->path, strerror(-error));
    storage->reserve_error = error;
    if (error == 0 && queue_reserve_is_made(storage->reserve) && storage->out_of_space) {
        storage->out_of_space = false;
        log_notice(EVENT_DISK_HAS_SPACE, "the reserve file is complete again");
    }
    return error;
}

/* ---- free pages ---- */

static int vacuum(struct queue *queue, void *context)
{
    cleanup_free char *sql = xasprintf("PRAGMA incremental_vacuum(%lld)", *(const long long *)context);
    return db_result(&queue->db, sqlite3_exec(queue->db.handle, sql, NULL, NULL, NULL),
                     "give free space back");
}

/* Cuts the file, and with TRUNCATE the log; a reader may be in the way. */
static int checkpoint(struct queue *queue, int mode)
{
    int code = db_checkpoint(&queue->db, mode);
    int error = db_result(&queue->db, code, "make a checkpoint");
    return error == -EBUSY ? 0 : error;
}

int queue_free_pages_give_back(struct queue *queue, bool quiet)
{
    struct storage *storage = &queue->storage;
    const struct limits *limits = &queue->limits;
    queue_limits_measure(queue);
    bool scarce = storage->out_of_space || limits->over[REASON_FREE];
    bool large = limits->free_bytes > (limits->free_bytes + limits->used_bytes) / 4;
    int64_t keep = scarce ? 0 : SLACK_BYTES;
    int64_t most = scarce || storage->giving_back ? keep : 2 * keep;
    bool was = storage->giving_back;
    storage->giving_back = limits->free_bytes > most && (scarce || quiet || large);
    int error = 0;
    if (storage->giving_back) {
        long long pages = (limits->free_bytes - keep) / limits->page_bytes;
        long long step = scarce || quiet ? QUIET_PAGES : BUSY_PAGES;
        if (step < pages)
            pages = step;
        error = queue_transaction(queue, DB_LAZY, vacuum, &pages);
    }
    if (error == 0 && scarce && (storage->giving_back || (storage->out_of_space && limits->wal_bytes > 0)))
        error = checkpoint(queue, SQLITE_CHECKPOINT_TRUNCATE);
    else if (error == 0 && was && !storage->giving_back)
        error = checkpoint(queue, SQLITE_CHECKPOINT_PASSIVE);
    return error;
}
