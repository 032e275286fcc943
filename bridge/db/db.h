/* db/db.h - the daemon's connection to its SQLite database, which runs in WAL mode. */
#ifndef SLUICE_DB_H
#define SLUICE_DB_H

#include "db/transaction.h"

/* What is known of a file before it is opened. */
enum db_trust {
    DB_TRUSTED,
    DB_DOUBTED, /* it was not closed in order: it is checked, unless it is large */
    DB_DAMAGED, /* -EBADMSG, unless it is another program's */
};

/* Opens or creates the database, sets it up, and applies the migrations that it lacks. Errors
 * as queue_open() in queue/queue.h; -EBADMSG: it is damaged, or no database, and was not
 * changed. */
int db_open(const char *path, enum db_trust trust, struct db *ret, char **ret_why);
/* An empty database in memory, instead of one that cannot be opened. */
int db_open_stand_in(struct db *ret);
/* Makes a checkpoint, unless it is damaged, and closes. The -wal and -shm files stay, so that
 * readers without write permission can go on (SQLITE_FCNTL_PERSIST_WAL). */
void db_close(struct db *db);

/* A new database with the newest schema, in one open transaction and without a journal: it is
 * worth nothing until it is complete. db_create_done closes it; the caller then syncs it (keep),
 * or removes it. */
int db_create(const char *path, struct db *ret);
int db_create_done(struct db *db, bool keep);

/* Makes a file at path with all that the open database has, also of its write-ahead log. The file must
 * not exist. The caller syncs it; after a failure, the caller removes it. 0 or -Exxx. */
int db_copy(struct db *from, const char *path);
/* The same for a database that SQLite cannot read: its file and its write-ahead log as they are, with zeros
 * for what the disk cannot read. */
int db_copy_files(struct db *from, const char *path, const char *log_path);

#endif
