/* queue/storage.c - storage that fails, and free space.
 *
 * A full disk, step by step. A write fails (SQLITE_FULL): the reserve is removed, and nothing
 * more is taken in. Now the write-ahead log has space, so delivered messages can be deleted.
 * Free pages are cut off the file, and the log is truncated, which gives the space to the disk.
 * When the disk has enough for the reserve in addition to min_free, the reserve is written
 * again, and only then the queue takes in messages. If other programs fill the disk, it stays
 * full; then the queue waits, and reports that.
 *
 * Free pages inside the file are normal: the queue grows and shrinks. To give each page back
 * at once, and to take it again a minute later, would wear out an SD card. So some are kept,
 * and the others are given back in small steps, mostly when nothing else is going on, without
 * a sync of their own.
 */
#include "queue/storage.h"
#include "base/clock.h"
#include "base/log.h"
#include "queue/files.h"
#include "queue/limits.h"
#include "queue/readers.h"

#include <errno.h>
#include <string.h>

enum {
    SLACK_BYTES = 4 * 1024 * 1024, /* free pages that are kept */
    QUIET_PAGES = 256,             /* given back in a step when nothing else is going on */
    BUSY_PAGES = 64,               /* and otherwise */
    LOCKED_MS = 3000,              /* sluice queue holds the lock for less */
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

bool queue_fails(const struct queue *queue)
{
    return queue->storage.failing;
}

/* What an error means, and what to do; the caller frees it. */
static char *storage_error_text(int error)
{
    switch (-error) {
    case EROFS:
        return xasprintf("%s: the kernel does that after errors of the SD card or disk, see dmesg; check and "
                         "replace it",
                         strerror(-error));
    case EIO:
        return xasprintf("%s: the SD card or disk fails, see dmesg; replace it", strerror(-error));
    default:
        return xstrdup(strerror(-error));
    }
}

/* Why nothing can be stored; NULL: it can. The caller frees it. */
static char *storage_reason(const struct queue *queue)
{
    const struct storage *storage = &queue->storage;
    if (queue->lost) {
        cleanup_free char *advice = queue_files_advice(queue->path);
        return xasprintf("its files were deleted or replaced while sluice used them; %s", advice);
    }
    if (storage->out_of_space)
        return xasprintf("the disk is full; make room beside %s", queue->path);
    if (storage->failing)
        return storage_error_text(storage->error);
    if (storage->locked_ms == 0 || clock_uptime_ms() - storage->locked_ms < LOCKED_MS)
        return NULL;
    cleanup_free char *who = queue_writers_text(queue);
    return xasprintf("another process has locked the database: %s; end its transaction", who);
}

void queue_storage_problem_set(struct queue *queue)
{
    cleanup_free char *reason = storage_reason(queue), *description = NULL;
    if (reason) {
        description = xasprintf("%s; messages wait at the broker, stored messages are delivered", reason);
    } else if (queue->db.checkpoint_error != 0) {
        cleanup_free char *error = storage_error_text(queue->db.checkpoint_error);
        description = xasprintf("%s; stored messages are safe in the write-ahead log, which grows", error);
    }
    queue_problem_set(queue, "storage", description);
}

void queue_storage_ended(struct queue *queue, const struct queue_end *end)
{
    struct storage *storage = &queue->storage;
    if (end->error != -EBUSY)
        storage->locked_ms = 0;
    else if (storage->locked_ms == 0)
        storage->locked_ms = clock_uptime_ms();
    switch (end->error) {
    case 0:
        if (end->committed && end->sync == DB_SYNC)
            storage->failing = false;
        return;
    case -EBUSY:
    case -ENOENT:
    case -ENOMEM:
    case -EMSGSIZE:
        return; /* the storage works */
    case -ENOSPC:
    case -EDQUOT:
        run_out_of_space(queue);
        break;
    }
    storage->failing = true;
    storage->error = end->error;
    queue_storage_problem_set(queue);
}

/* ---- the reserve ---- */

/* Without enough space, the next call tries again. */
int queue_reserve_make(struct queue *queue)
{
    struct storage *storage = &queue->storage;
    if (queue_reserve_is_made(storage->reserve))
        return 0;
    if (queue_disk_free(queue) < queue->limits.config.min_free + queue_reserve_lacks(storage->reserve))
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
    return db_exec(&queue->db, sql, "give free space back");
}

/* Cuts the file, and with TRUNCATE the log, if no reader prevents it. */
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
