/* db/transaction.c - see db/transaction.h. */
#include "db/transaction.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>

enum { BLOCK = 65536, CHECKPOINT_PAGES = 1000, CHECKPOINT_RETRY_MS = 60 * 1000 };

/* The pragma cannot change inside a transaction, so it is set before one. */
static int set_sync(struct db *db, enum db_sync sync)
{
    if (db->sync == sync)
        return 0;
    int error = db_exec(db, sync == DB_SYNC ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
                        "set synchronous");
    if (error == 0)
        db->sync = sync;
    return error;
}

/* Linux reports a failed sync only once: then it takes the pages for clean, they can be read
 * back, and no later sync writes them. So after a failure the whole write-ahead log is written
 * again, byte for byte, before anything relies on it: the next acknowledged commit needs the
 * lazy commits before it, and a checkpoint must not overwrite pages that only the log has
 * in full. The write lock must be held. */
static int rewrite_wal(struct db *db)
{
    if (!db->wal_unsure)
        return 0;
    sqlite3_file *wal = NULL;
    sqlite3_int64 size = 0;
    int code = sqlite3_file_control(db->handle, NULL, SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    if (code == SQLITE_OK && wal && wal->pMethods)
        code = wal->pMethods->xFileSize(wal, &size);
    cleanup_free char *block = xcalloc(1, BLOCK);
    for (sqlite3_int64 at = 0; code == SQLITE_OK && at < size; at += BLOCK) {
        int bytes = size - at < BLOCK ? (int)(size - at) : BLOCK;
        code = wal->pMethods->xRead(wal, block, bytes, at);
        if (code == SQLITE_OK)
            code = wal->pMethods->xWrite(wal, block, bytes, at);
    }
    if (code == SQLITE_OK && size > 0)
        code = wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL);
    if (code != SQLITE_OK) {
        log_warning(EVENT_DATABASE_ERROR, "cannot rewrite the write-ahead log: %s", sqlite3_errstr(code));
        return db_errno(NULL, code);
    }
    db->wal_unsure = false;
    return 0;
}

int db_checkpoint(struct db *db, int mode)
{
    if (db->wal_unsure)
        return SQLITE_OK;
    int code = sqlite3_wal_checkpoint_v2(db->handle, NULL, mode, NULL, NULL);
    int error = db_result(db, code, "make a checkpoint");
    if (error == -EBUSY)
        return code;
    db->checkpoint_error = error;
    if (error != 0)
        db->no_checkpoint_until_ms = clock_uptime_ms() + CHECKPOINT_RETRY_MS;
    if (error != 0 && error != -ENOSPC) /* which does not come from a sync */
        db->wal_unsure = true;
    return code;
}

int db_checkpoint_when_due(void *context, sqlite3 *handle, const char *name, int pages)
{
    (void)handle;
    (void)name;
    struct db *db = context; /* each failure may cost another rewrite of the log */
    if (pages >= CHECKPOINT_PAGES && clock_uptime_ms() >= db->no_checkpoint_until_ms)
        db_checkpoint(db, SQLITE_CHECKPOINT_PASSIVE);
    return SQLITE_OK;
}

/* Nothing more is written to a damaged database, because a salvage might not find it. */
int db_begin(struct db *db, enum db_sync sync)
{
    if (db->damaged)
        return -EBADMSG;
    int error = set_sync(db, sync);
    if (error == 0)
        error = db_exec(db, "BEGIN IMMEDIATE", "begin a transaction");
    if (error != 0)
        return error;
    db->in_transaction = true;
    error = rewrite_wal(db);
    if (error != 0)
        db_rollback(db);
    return error;
}

int db_commit(struct db *db)
{
    int error = db_exec(db, "COMMIT", "commit");
    if (error != 0 && error != -EBUSY)
        db->wal_unsure = true;
    if (error != 0)
        db_rollback(db);
    db->in_transaction = false;
    return error;
}

void db_rollback(struct db *db)
{
    db->in_transaction = false;
    /* Some errors roll back by themselves. */
    if (!sqlite3_get_autocommit(db->handle))
        db_exec(db, "ROLLBACK", "roll back");
}
