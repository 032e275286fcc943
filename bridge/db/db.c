/* db/db.c - SQLite: opening, errors as errno, statements.
 *
 * Everything that is peculiar to SQLite's set-up is here: pragmas, migrations,
 * durability, and what its result codes mean to us. SQLite is asked to wait for
 * nothing (no busy time-out): the loop must go on, so a lock held by someone
 * else comes back as -EBUSY.
 */
#include "db/db.h"
#include "base/clock.h"
#include "base/log.h"
#include "db/schema.h"
#include "db/vfs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CHECK_MOST_BYTES = 16 << 20, /* a second or two on the slowest Pi */
};

enum { TELL_MS = 60 * 1000 };

int db_errno(sqlite3 *handle, int code)
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
        if (handle && sqlite3_extended_errcode(handle) == SQLITE_IOERR_SHORT_READ)
            return -EBADMSG; /* a file is shorter than it must be */
        int os = handle ? sqlite3_system_errno(handle) : 0;
        return os > 0 ? -os : -EIO;
    }
    default:
        return -EIO;
    }
}

/* A disk that fails, fails again and again. */
static bool is_news(struct db *db, int code)
{
    int64_t *told_ms = &db->told_ms[(code & 0xff) % DB_CODES], now_ms = clock_uptime_ms();
    if (*told_ms != 0 && now_ms - *told_ms < TELL_MS)
        return false;
    *told_ms = now_ms;
    return true;
}

int db_result(struct db *db, int code, const char *doing)
{
    int error = db_errno(db->handle, code);
    if (error == -EBADMSG)
        db->damaged = true;
    if (error != 0 && error != -EBUSY && is_news(db, code))
        log_warning(EVENT_DATABASE_ERROR, "cannot %s: %s", doing,
                    code == sqlite3_errcode(db->handle) ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code));
    return error;
}

static bool fits(char letter, int type)
{
    switch (letter) {
    case 'i':
        return type == SQLITE_INTEGER;
    case 't':
        return type == SQLITE_TEXT;
    case 'b':
        return type == SQLITE_BLOB;
    case 'I':
        return type == SQLITE_INTEGER || type == SQLITE_NULL;
    case 'T':
        return type == SQLITE_TEXT || type == SQLITE_NULL;
    default:
        return letter == 'B' && (type == SQLITE_BLOB || type == SQLITE_NULL);
    }
}

int db_step(sqlite3_stmt *statement, const char *types)
{
    int code = sqlite3_step(statement);
    for (int i = 0; code == SQLITE_ROW && types[i] != '\0'; i++)
        if (!fits(types[i], sqlite3_column_type(statement, i)))
            code = SQLITE_CORRUPT;
    return code;
}

sqlite3_stmt *db_prepare(struct db *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
    if (code == SQLITE_ERROR)
        db->damaged = true; /* our SQL is right: it is the schema */
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

int db_exec(struct db *db, const char *sql, const char *doing)
{
    return db_result(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL), doing);
}

int db_number(struct db *db, const char *sql, int64_t *ret)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int64(statement, 0);
    int error = db_result(db, code, "read the database");
    sqlite3_finalize(statement);
    return error;
}

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

enum { BLOCK = 65536, CHECKPOINT_PAGES = 1000, CHECKPOINT_RETRY_MS = 60 * 1000 };

/* A sync that fails is told once: Linux then takes the pages for clean, they read
 * back, and no later sync writes them. So after a failure the whole write-ahead
 * log is written once more, byte for byte, before anything relies on it: lazy
 * commits in it come before the next one that is acknowledged, and a checkpoint
 * must not overwrite pages that it alone holds. The write lock must be held. */
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

/* In place of SQLite's own, which tells nobody when it fails. */
static int checkpoint_when_due(void *context, sqlite3 *handle, const char *name, int pages)
{
    (void)handle;
    (void)name;
    struct db *db = context; /* with each try that fails the log may have to be written again */
    if (pages >= CHECKPOINT_PAGES && clock_uptime_ms() >= db->no_checkpoint_until_ms)
        db_checkpoint(db, SQLITE_CHECKPOINT_PASSIVE);
    return SQLITE_OK;
}

/* Nothing more is written to a damaged database: not all of it might be found
 * again. */
int db_begin(struct db *db, enum db_sync sync)
{
    if (db->damaged)
        return -EBADMSG;
    int error = set_sync(db, sync);
    if (error == 0)
        error = db_exec(db, "BEGIN IMMEDIATE", "begin a transaction");
    if (error != 0)
        return error;
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
    return error;
}

void db_rollback(struct db *db)
{
    /* Some errors roll back by themselves. */
    if (!sqlite3_get_autocommit(db->handle))
        db_exec(db, "ROLLBACK", "roll back");
}

/* Structure and types, not what indices hold; stops at the first fault. A page that
 * the disk cannot read is reported like a damaged one, though it may be readable the
 * next time: *ret_fault is NULL when nothing is wrong. */
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

/* auto_vacuum must be chosen before the first table; it allows to give space
 * back in small steps. The cache is small: SQLite reads a row once and writes it
 * once, and memory is scarce on a Pi. Debian's SQLite overwrites what is deleted
 * with zeros, which writes every page of the queue once more; readings are no
 * secrets to those who may read the file, and cards wear out. */
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

/* SQLite deletes a write-ahead log beside an empty file, so where something is
 * wrong, that is not opened. */
static int check_kind(const char *path, enum db_trust trust)
{
    struct stat status = {.st_size = 0};
    if (stat(path, &status) != 0 && errno != ENOENT)
        return -errno;
    if (status.st_mode != 0 && !S_ISREG(status.st_mode))
        return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    return trust == DB_DAMAGED && status.st_size == 0 ? -EBADMSG : 0;
}

/* What is closed is as it was found, unless db_close() made its checkpoint. */
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
    sqlite3_wal_hook(ret->handle, checkpoint_when_due, ret);
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
    /* Best effort: what is not checkpointed now is at the next start. */
    if (!db->damaged)
        db_checkpoint(db, SQLITE_CHECKPOINT_TRUNCATE);
    int code = sqlite3_close(db->handle);
    assert(code == SQLITE_OK); /* otherwise a statement was left */
    (void)code;
    db->handle = NULL;
}
