/* db/external.c - a connection to the daemon's database from another process.
 *
 * It changes no settings, applies no migration, and keeps the -wal and -shm files, because
 * those who may only read need them. Checkpoints are left to the daemon, or to the next
 * start: here they would hold the lock on checkpoints while the daemon wants it.
 */
#include "db/external.h"
#include "db/functions.h"
#include "db/schema.h"
#include "db/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MS = 10000 };

static int ask_version(sqlite3 *handle, int *ret)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(handle, "PRAGMA user_version", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    int version = code == SQLITE_ROW ? sqlite3_column_int(statement, 0) : 0;
    sqlite3_finalize(statement);
    if (code == SQLITE_ROW)
        *ret = version;
    return code;
}

static int configure(sqlite3 *handle)
{
    int persist = 1;
    sqlite3_busy_timeout(handle, WAIT_MS);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_file_control(handle, NULL, SQLITE_FCNTL_PERSIST_WAL, &persist);
    return sqlite3_exec(handle,
                        "PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-1024;"
                        "PRAGMA secure_delete=OFF; PRAGMA temp_store=MEMORY",
                        NULL, NULL, NULL);
}

/* A reader without write permission cannot make the -wal and -shm files, which another program
 * deletes when it closes the database of a stopped sluice. */
static char *explain(const char *path, bool write, int error)
{
    if (!write && error == -EROFS)
        return xasprintf(
            "%s: another program, such as sqlite3 without -readonly, has deleted its write-ahead "
            "log; \"sudo sluice status\" or a start of sluice makes it again",
            path);
    switch (error) {
    case -ENOENT:
        return xasprintf("%s: there is no queue here: sluice has not run yet with this configuration", path);
    case -EACCES:
        return xasprintf("%s: you may not read it: members of the group sluice may (usermod -aG sluice "
                         "YOUR-NAME, and log in again), or use sudo",
                         path);
    case -EROFS:
        return xasprintf("%s: only root and sluice's user may change it: use sudo", path);
    case -EBADMSG:
        return xasprintf("%s: damaged, or not a database; sluice salvages what can be read when it starts",
                         path);
    case -EBUSY:
        return xasprintf("%s: another process holds its lock; try again", path);
    default:
        return xasprintf("%s: cannot be opened: %s", path, strerror(-error));
    }
}

int db_external_open(const char *path, bool write, struct db *ret, char **ret_why)
{
    struct db db = {.sync = DB_LAZY};
    int version = 0, error = 0;
    if (access(path, R_OK) != 0)
        error = -errno;
    else if (write && access(path, W_OK) != 0)
        error = errno == EACCES ? -EROFS : -errno;
    if (error == 0) {
        int flags = (write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX;
        int code = sqlite3_open_v2(path, &db.handle, flags, db_vfs_name());
        if (code == SQLITE_OK)
            code = configure(db.handle);
        if (code == SQLITE_OK)
            code = db_add_functions(db.handle);
        if (code == SQLITE_OK)
            code = ask_version(db.handle, &version);
        error = db_errno(db.handle, code);
    }
    char *why = NULL;
    if (error == 0)
        error = schema_check(path, version, schema_migration_count, &why);
    if (error != 0) {
        *ret_why = why ? why : explain(path, write, error);
        sqlite3_close(db.handle);
        return error;
    }
    *ret = db;
    return 0;
}

/* The write-ahead log has the commits, and its sync needs no lock. Closing its descriptor
 * drops no lock: SQLite's are on the other two files. */
int db_external_sync(const char *path)
{
    cleanup_free char *name = xasprintf("%s-wal", path);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = fdatasync(fd) == 0 ? 0 : -errno;
    close(fd);
    return error;
}

void db_external_close(struct db *db)
{
    sqlite3_close(db->handle);
    db->handle = NULL;
}
