/* db.h - SQLite: opening, errors as errno, statements. Only queue*.c use it.
 *
 * The database runs in WAL mode. Two durabilities are used: DB_SYNC (a commit
 * is on disk when it returns; for what is acknowledged) and DB_LAZY (a commit
 * may be lost in a power cut, but never half of it; for what would only be done
 * again).
 */
#ifndef SLUICE_DB_H
#define SLUICE_DB_H

#include "base.h"
#include <sqlite3.h>
#include <stdbool.h>

enum db_sync { DB_SYNC, DB_LAZY };

struct db {
    sqlite3 *handle;
    enum db_sync sync; /* as set now */
    bool damaged;      /* SQLite said so, at any time since it was opened */
};

/* Opens or creates the database, sets it up, and applies the migrations that it
 * lacks. Errors as queue_open() in queue.h. */
int db_open(const char *path, struct db *ret, char **ret_why);
/* Makes a checkpoint and closes; the -wal and -shm files stay, so that readers
 * without write permission can go on reading (SQLITE_FCNTL_PERSIST_WAL). */
void db_close(struct db *db);

/* Turns a result code of SQLite into 0 or -Exxx, and logs failures other than
 * -EBUSY as "queue: cannot DO: words". */
int db_result(struct db *db, int code, const char *doing);

/* Prepares a statement that lives as long as the database; NULL after logging
 * when that fails. */
sqlite3_stmt *db_prepare(struct db *db, const char *sql);
/* Runs one step of a statement that returns no rows, and resets it. */
int db_run(struct db *db, sqlite3_stmt *statement, const char *doing);

/* A transaction that holds the write lock from its start; never waits. */
int db_begin(struct db *db, enum db_sync sync);
int db_commit(struct db *db); /* on failure the transaction is rolled back */
void db_rollback(struct db *db);

#endif
