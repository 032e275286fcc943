/* db.c - SQLite: opening, errors as errno, statements.
 *
 * Everything that is peculiar to SQLite's set-up is here: pragmas, migrations,
 * durability, and what its result codes mean to us. SQLite is asked to wait for
 * nothing (no busy time-out): the loop must go on, so a lock held by someone
 * else comes back as -EBUSY.
 */
#include "db.h"
#include "log.h"
#include "schema.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int errno_of(sqlite3 *handle, int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EBADMSG;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_TOOBIG:
        return -EMSGSIZE;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR: {
        int os = handle ? sqlite3_system_errno(handle) : 0;
        return os > 0 ? -os : -EIO;
    }
    default:
        return -EIO;
    }
}

int db_result(struct db *db, int code, const char *doing)
{
    int error = errno_of(db->handle, code);
    if (error == -EBADMSG)
        db->damaged = true;
    if (error != 0 && error != -EBUSY)
        log_warning("queue: cannot %s: %s", doing, sqlite3_errmsg(db->handle));
    return error;
}

sqlite3_stmt *db_prepare(struct db *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
    return db_result(db, code, "prepare a statement") == 0 ? statement : NULL;
}

int db_run(struct db *db, sqlite3_stmt *statement, const char *doing)
{
    int code = sqlite3_step(statement);
    assert(code != SQLITE_ROW);
    int error = db_result(db, code, doing);
    sqlite3_reset(statement);
    return error;
}

static int exec(struct db *db, const char *sql, const char *doing)
{
    return db_result(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL), doing);
}

/* The pragma cannot change inside a transaction, so it is set before one. */
static int set_sync(struct db *db, enum db_sync sync)
{
    if (db->sync == sync)
        return 0;
    int error = exec(db, sync == DB_SYNC ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
                     "set synchronous");
    if (error == 0)
        db->sync = sync;
    return error;
}

int db_begin(struct db *db, enum db_sync sync)
{
    int error = set_sync(db, sync);
    return error != 0 ? error : exec(db, "BEGIN IMMEDIATE", "begin a transaction");
}

int db_commit(struct db *db)
{
    int error = exec(db, "COMMIT", "commit");
    if (error != 0)
        db_rollback(db);
    return error;
}

void db_rollback(struct db *db)
{
    /* Some errors roll back by themselves. */
    if (!sqlite3_get_autocommit(db->handle))
        exec(db, "ROLLBACK", "roll back");
}

static int user_version(struct db *db, int *ret)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db->handle, "PRAGMA user_version", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? 0 : errno_of(db->handle, code);
}

/* A database that has tables but no version is somebody else's. */
static int is_foreign(struct db *db, int *ret)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db->handle, "SELECT count(*) FROM sqlite_schema", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int(statement, 0) > 0;
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? 0 : errno_of(db->handle, code);
}

static int migrate_one(struct db *db, const struct schema_migration *migration)
{
    int error = db_begin(db, DB_SYNC);
    if (error != 0)
        return error;
    error = exec(db, migration->sql, "apply a migration");
    if (error == 0) {
        cleanup_free char *pragma = xasprintf("PRAGMA user_version=%d", migration->number);
        error = exec(db, pragma, "note the schema's version");
    }
    if (error != 0) {
        db_rollback(db);
        return error;
    }
    return db_commit(db);
}

static int migrate(struct db *db, const char *path, char **ret_why)
{
    int version = 0, foreign = 0;
    int error = user_version(db, &version);
    if (error == 0 && version == 0)
        error = is_foreign(db, &foreign);
    if (error != 0)
        return error;
    if (foreign) {
        *ret_why =
            xasprintf("%s: this is a database of another program; name another file in [queue] path", path);
        return -EBADMSG;
    }
    if (version > schema_migration_count) {
        *ret_why = xasprintf("%s: made by a newer sluice (schema %d, this one knows up to %d): install that "
                             "version again, or move the file away to start an empty queue",
                             path, version, schema_migration_count);
        return -EPROTONOSUPPORT;
    }
    for (int i = version; i < schema_migration_count; i++) {
        error = migrate_one(db, &schema_migrations[i]);
        if (error != 0)
            return error;
        log_info("queue %s: schema/%s applied", path, schema_migrations[i].name);
    }
    return 0;
}

/* auto_vacuum must be chosen before the first table; it allows to give space
 * back in small steps. The cache is small: SQLite reads a row once and writes it
 * once, and memory is scarce on a Pi. Debian's SQLite overwrites what is deleted
 * with zeros, which writes every page of the queue once more; readings are no
 * secrets to those who may read the file, and cards wear out. */
static int configure(struct db *db)
{
    int persist = 1;
    sqlite3_file_control(db->handle, NULL, SQLITE_FCNTL_PERSIST_WAL, &persist);
    return exec(db,
                "PRAGMA auto_vacuum=INCREMENTAL;"
                "PRAGMA journal_mode=WAL;"
                "PRAGMA synchronous=FULL;"
                "PRAGMA journal_size_limit=4194304;"
                "PRAGMA cache_size=-1024;"
                "PRAGMA secure_delete=OFF;"
                "PRAGMA temp_store=MEMORY",
                "set up the database");
}

/* Creates the file readable by the group and by nobody else; SQLite gives the
 * -wal and -shm files the same mode. */
static int create_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static char *explain(const char *path, int error)
{
    switch (error) {
    case -EBUSY:
        return xasprintf("%s: another process holds its lock: end it, then start again", path);
    case -EBADMSG:
        return xasprintf("%s: damaged, or not a database: move it away to start an empty queue", path);
    case -ENOENT:
        return xasprintf("%s: the directory does not exist: create it, or name another in [queue] path",
                         path);
    case -EACCES:
    case -EROFS:
        return xasprintf("%s: cannot be written: %s: give it and its directory to sluice's user", path,
                         strerror(-error));
    default:
        return xasprintf("%s: cannot be opened: %s", path, strerror(-error));
    }
}

int db_open(const char *path, struct db *ret, char **ret_why)
{
    struct db db = {.sync = DB_SYNC};
    char *why = NULL;
    int error = create_file(path);
    if (error == 0) {
        int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
        error = errno_of(db.handle, sqlite3_open_v2(path, &db.handle, flags, NULL));
    }
    if (error == 0)
        error = configure(&db);
    if (error == 0)
        error = migrate(&db, path, &why);
    if (error != 0) {
        *ret_why = why ? why : explain(path, error);
        sqlite3_close(db.handle);
        return error;
    }
    *ret = db;
    return 0;
}

void db_close(struct db *db)
{
    /* Best effort: what is not checkpointed now is at the next start. */
    sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    int code = sqlite3_close(db->handle);
    assert(code == SQLITE_OK); /* otherwise a statement was left */
    (void)code;
    db->handle = NULL;
}
