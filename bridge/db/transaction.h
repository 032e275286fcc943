/* db/transaction.h - transactions, and checkpoints of the write-ahead log. */
#ifndef SLUICE_DB_TRANSACTION_H
#define SLUICE_DB_TRANSACTION_H

#include "db/statement.h"

/* A transaction that holds the write lock from its start. 0, -EBUSY without waiting,
 * -EBADMSG for a damaged database, -Exxx. */
int db_begin(struct db *db, enum db_sync sync);
int db_commit(struct db *db); /* on failure, the transaction is rolled back */
void db_rollback(struct db *db);

/* mode: SQLITE_CHECKPOINT_..., as far as readers allow it. Returns SQLite's code. Does nothing
 * (SQLITE_OK) while the log is not reliable. */
int db_checkpoint(struct db *db, int mode);
/* For sqlite3_wal_hook(), with the struct db as context: SQLite's own hook reports no errors. */
int db_checkpoint_when_due(void *context, sqlite3 *handle, const char *name, int pages);

#endif
