/* db/db.h - SQLite: opening, errors as errno, statements. Only queue*.c use it.
 *
 * The database runs in WAL mode. Two durabilities are used: DB_SYNC (a commit
 * is on disk when it returns; for what is acknowledged) and DB_LAZY (a commit
 * may be lost in a power cut, but never half of it; for what would only be done
 * again).
 */
#ifndef SLUICE_DB_H
#define SLUICE_DB_H

#include "base/base.h"
#include <sqlite3.h>
#include <stdbool.h>

enum db_sync { DB_SYNC, DB_LAZY };
enum { DB_CODES = 32 }; /* SQLite's primary result codes for errors are below this */

struct db {
    sqlite3 *handle;
    enum db_sync sync;              /* as set now */
    bool damaged;                   /* SQLite said so, at any time since it was opened */
    int checkpoint_error;           /* of the last checkpoint, -Exxx */
    int64_t no_checkpoint_until_ms; /* uptime; none of the hook's own after one that failed */
    bool wal_unsure;                /* a sync may have failed: the disk may lack what reads back */
    int64_t told_ms[DB_CODES];      /* uptime when the log last had a failure with this code; 0: never */
};

/* What is known of a file before it is opened. */
enum db_trust {
    DB_TRUSTED,
    DB_DOUBTED, /* it was not closed in order: a small one is checked */
    DB_DAMAGED, /* only its owner is asked for: -EBADMSG where it is ours */
};

/* Opens or creates the database, sets it up, and applies the migrations that it
 * lacks. Errors as queue_open() in queue/queue.h; -EBADMSG: it is damaged or no database,
 * and nothing was changed. */
int db_open(const char *path, enum db_trust trust, struct db *ret, char **ret_why);
/* An empty database in memory, which stands in for one that cannot be opened. */
int db_open_stand_in(struct db *ret);
/* A new database at path with the newest schema, in one open transaction and
 * without a journal: for what is worth nothing before it is complete. done closes
 * it; what is not kept is for the caller to remove, and what is kept to sync. */
int db_create(const char *path, struct db *ret);
int db_create_done(struct db *db, bool keep);
/* Makes a checkpoint, unless it is damaged, and closes; the -wal and -shm files stay, so that readers
 * without write permission can go on reading (SQLITE_FCNTL_PERSIST_WAL). */
void db_close(struct db *db);

/* -Exxx for a result code of SQLite; 0 for those that are none. */
int db_errno(sqlite3 *handle, int code);

/* A second connection, of another process than the daemon (db/external.c): to look, or
 * to write beside it. Waits for locks. The schema must be the newest. Its commits do
 * not sync; db_beside_sync does. Errors as errno, *ret_why says them in words with
 * what to do (freed by the caller): -ENOENT there is no queue yet, -EACCES, -EROFS may
 * not be read, written; -EPROTONOSUPPORT another schema; -EBADMSG damaged. */
int db_open_beside(const char *path, bool write, struct db *ret, char **ret_why);
int db_beside_sync(const char *path);
/* Closes without a checkpoint. */
void db_close_beside(struct db *db);

/* Makes known to a connection what our SQL calls (db/functions.c):
 *     history_add(history, wall ms, event, attempt, status, words)    see message_history_add
 *     packet_digest(topic, payload)                                   see replay_digest
 * Returns SQLite's code. */
int db_add_functions(sqlite3 *handle);

/* Turns a result code of SQLite into 0 or -Exxx, and logs failures other than
 * -EBUSY as "queue: cannot DO: words", the same failure once a minute. */
int db_result(struct db *db, int code, const char *doing);

/* Like sqlite3_step(), but a row must have the types that its table promises, a
 * letter for each column: i, t or b, in capitals where NULL is allowed. Otherwise
 * it is damaged: SQLITE_CORRUPT, and no pointer may be taken from it. */
int db_step(sqlite3_stmt *statement, const char *types);

/* Runs SQL that returns no rows. */
int db_exec(struct db *db, const char *sql, const char *doing);
/* The first column of the first row (NULL: 0). No row leaves *ret as it is. */
int db_number(struct db *db, const char *sql, int64_t *ret);

/* Prepares a statement that lives as long as the database; NULL after logging
 * when that fails. */
sqlite3_stmt *db_prepare(struct db *db, const char *sql);
/* Runs one step of a statement that returns no rows, and resets it. */
int db_run(struct db *db, sqlite3_stmt *statement, const char *doing);

/* A transaction that holds the write lock from its start; never waits. */
int db_begin(struct db *db, enum db_sync sync);
int db_commit(struct db *db); /* on failure the transaction is rolled back */
void db_rollback(struct db *db);
/* SQLITE_CHECKPOINT_..., as far as readers let it; returns SQLite's code. Does
 * nothing (SQLITE_OK) while the log cannot be relied upon. */
int db_checkpoint(struct db *db, int mode);

#endif
