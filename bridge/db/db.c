/* db/db.c - opening, setting up and closing the database. */
#include "db/db.h"
#include "base/log.h"
#include "db/functions.h"
#include "db/schema.h"
#include "db/vfs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHECK_MOST_BYTES = 16 << 20 }; /* a second or two on the slowest Pi */

/* Checks structure and types, not the entries of indexes, and stops at the first fault; *ret_fault
 * is NULL when there is none. A page that the disk cannot read looks like a damaged one, but may
 * be readable the next time. */
static int quick_check(struct db *db, char **ret_fault)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db->handle, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    int error = code == SQLITE_ROW ? 0 : db_result(db, code, "check the database");
    const char *text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    *ret_fault = text && strcmp(text, "ok") != 0 ? xstrdup(text) : NULL;
    sqlite3_finalize(statement);
    return error;
}

static int check_small(struct db *db)
{
    int64_t pages = 0, page_bytes = 0;
    int error = db_number(db, "PRAGMA page_count", &pages);
    if (error == 0)
        error = db_number(db, "PRAGMA page_size", &page_bytes);
    if (error != 0 || pages * page_bytes > CHECK_MOST_BYTES)
        return error;
    cleanup_free char *fault = NULL, *again = NULL;
    error = quick_check(db, &fault);
    if (error != 0 || !fault)
        return error;
    error = quick_check(db, &again);
    if (error != 0 || !again)
        return error;
    log_warning(EVENT_DATABASE_CHECK_FAILED, "%s", again);
    return -EBADMSG;
}

/* auto_vacuum must be chosen before the first table; it returns space in small steps. The
 * cache is small: a row is read once and written once, and a Pi has little memory. Debian's
 * SQLite overwrites deleted data with zeros, which writes each page of the queue once more
 * and wears out the card; readings are no secrets to those who may read the file. */
static int configure(struct db *db)
{
    return db_exec(db,
                   "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL;"
                   "PRAGMA journal_mode=WAL;"
                   "PRAGMA synchronous=FULL;"
                   "PRAGMA wal_autocheckpoint=0;"
                   "PRAGMA journal_size_limit=4194304;"
                   "PRAGMA cache_size=-1024;"
                   "PRAGMA secure_delete=OFF;"
                   "PRAGMA temp_store=MEMORY",
                   "set up the database");
}

/* The group may read it, others may not; SQLite gives the -wal and -shm files the same
 * mode. */
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
        return xasprintf("%s: damaged, or not a database", path);
    case -EISDIR:
        return xasprintf("%s: a directory is in the way: move it away, or name a file in [queue] path", path);
    case -EINVAL:
        return xasprintf("%s: not a file: move it away, or name another in [queue] path", path);
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

/* SQLite deletes the write-ahead log of an empty file, so a damaged empty file is not
 * opened. */
static int check_kind(const char *path, enum db_trust trust)
{
    struct stat status = {.st_size = 0};
    if (stat(path, &status) != 0 && errno != ENOENT)
        return -errno;
    if (status.st_mode != 0 && !S_ISREG(status.st_mode))
        return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    return trust == DB_DAMAGED && status.st_size == 0 ? -EBADMSG : 0;
}

/* Closing it changes nothing, unless db_close() makes its checkpoint. */
static int open_handle(const char *path, struct db *db)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, persist = 1;
    int code = sqlite3_open_v2(path, &db->handle, flags, db_vfs_name());
    if (code != SQLITE_OK)
        return db_errno(db->handle, code);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_file_control(db->handle, NULL, SQLITE_FCNTL_PERSIST_WAL, &persist);
    return db_errno(db->handle, db_add_functions(db->handle));
}

static int bring_up(struct db *db, const char *path, enum db_trust trust, char **ret_why)
{
    int error = schema_identify(db, path, ret_why);
    if (error == 0 && trust == DB_DAMAGED)
        error = -EBADMSG;
    if (error == 0 && trust == DB_DOUBTED)
        error = check_small(db);
    if (error == 0)
        error = configure(db);
    if (error == 0)
        error = schema_migrate(db, path, schema_migrations, schema_migration_count);
    return db->damaged ? -EBADMSG : error;
}

int db_open(const char *path, enum db_trust trust, struct db *ret, char **ret_why)
{
    struct db db = {.sync = DB_SYNC, .wal_unsure = true};
    char *why = NULL;
    int error = check_kind(path, trust);
    if (error == 0)
        error = create_file(path);
    if (error == 0)
        error = open_handle(path, &db);
    if (error == 0)
        error = bring_up(&db, path, trust, &why);
    if (error != 0) {
        *ret_why = why ? why : explain(path, error);
        sqlite3_close(db.handle);
        return error;
    }
    *ret = db;
    sqlite3_wal_hook(ret->handle, db_checkpoint_when_due, ret);
    return 0;
}

int db_open_stand_in(struct db *ret)
{
    struct db db = {.sync = DB_SYNC};
    int error = open_handle(":memory:", &db);
    if (error == 0)
        error = schema_migrate(&db, NULL, schema_migrations, schema_migration_count);
    if (error != 0) {
        sqlite3_close(db.handle);
        return error;
    }
    db.damaged = true; /* nothing can be stored in it */
    *ret = db;
    return 0;
}

int db_create(const char *path, struct db *ret)
{
    struct db db = {.sync = DB_SYNC};
    int error = create_file(path);
    if (error == 0)
        error = open_handle(path, &db);
    if (error == 0)
        error = db_exec(&db,
                        "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=OFF;"
                        "PRAGMA synchronous=OFF; PRAGMA cache_size=-1024; PRAGMA temp_store=MEMORY;"
                        "PRAGMA locking_mode=EXCLUSIVE",
                        "set up the new database");
    if (error == 0)
        error = schema_migrate(&db, NULL, schema_migrations, schema_migration_count);
    if (error == 0)
        error = db_begin(&db, DB_SYNC);
    if (error != 0) {
        sqlite3_close(db.handle);
        return error;
    }
    *ret = db;
    return 0;
}

int db_create_done(struct db *db, bool keep)
{
    int error = keep ? db_exec(db, "COMMIT", "commit") : 0;
    sqlite3_close(db->handle);
    db->handle = NULL;
    return error;
}

void db_close(struct db *db)
{
    /* Best effort: otherwise the next start makes the checkpoint. */
    if (!db->damaged)
        db_checkpoint(db, SQLITE_CHECKPOINT_TRUNCATE);
    int code = sqlite3_close(db->handle);
    assert(code == SQLITE_OK); /* otherwise a statement is not finalized */
    (void)code;
    db->handle = NULL;
}
