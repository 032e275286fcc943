/* db/statement.h - SQLite's errors as errno, and statements.
 *
 * SQLite waits for nothing here (no busy time-out), because the event loop must go on: a lock
 * that another process holds comes back as -EBUSY.
 */
#ifndef SLUICE_DB_STATEMENT_H
#define SLUICE_DB_STATEMENT_H

#include "base/base.h"
#include "base/throttle.h"
#include <sqlite3.h>
#include <stdbool.h>

enum db_sync {
    DB_SYNC, /* a commit is on the disk when it returns: for what is acknowledged */
    DB_LAZY, /* a power cut may undo the commit, but never half of it: for work that is done again then */
};
enum { DB_CODES = 32 }; /* SQLite's primary result codes for errors are below this */

struct db {
    sqlite3 *handle;
    enum db_sync sync;                 /* as set now */
    bool damaged;                      /* SQLite found damage since it was opened */
    bool in_transaction;               /* of db_begin(), also after SQLite has rolled it back */
    int checkpoint_error;              /* of the last checkpoint, -Exxx */
    int64_t no_checkpoint_until_ms;    /* uptime; after one that failed */
    bool wal_unsure;                   /* a sync may have failed: the disk may lack what reads back */
    struct throttle reports[DB_CODES]; /* of failures with this code */
};

/* -Exxx for a result code of SQLite; 0 for SQLITE_OK, _ROW and _DONE. */
int db_errno(sqlite3 *handle, int code);
/* The same. Logs failures other than -EBUSY as "cannot DO: message", the same code at most
 * once a minute, and remembers damage. */
int db_result(struct db *db, int code, const char *doing);

/* Prepares a statement that lives as long as the database; NULL when that fails, which it
 * logs. */
sqlite3_stmt *db_prepare(struct db *db, const char *sql);
/* Runs one step of a statement that returns no rows, and resets it. Some errors (a full disk) make
 * SQLite roll back the whole transaction. What follows would be committed by itself, statement by
 * statement, without what came before: until db_rollback() this returns -ECANCELED instead. */
int db_run(struct db *db, sqlite3_stmt *statement, const char *doing);
/* Like sqlite3_step(), but a row must have the types that its table promises, a letter for
 * each column: i, t or b, in capitals where NULL is allowed. Otherwise the database is
 * damaged: SQLITE_CORRUPT, and no pointer may be taken from the row. */
int db_step(sqlite3_stmt *statement, const char *types);

/* Runs SQL that returns no rows. */
int db_exec(struct db *db, const char *sql, const char *doing);
/* The first column of the first row (NULL: 0). No row leaves *ret as it is. */
int db_number(struct db *db, const char *sql, int64_t *ret);

#endif
