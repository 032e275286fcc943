/* db/statement.c - see db/statement.h. */
#include "db/statement.h"
#include "base/clock.h"
#include "base/log.h"
#include "db/vfs.h"

#include <assert.h>
#include <errno.h>

enum { REPORT_EVERY_MS = 60 * 1000 };

static bool is_of_writing(int extended)
{
    return extended == SQLITE_IOERR_WRITE || extended == SQLITE_IOERR_FSYNC ||
           extended == SQLITE_IOERR_TRUNCATE;
}

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
        int extended = handle ? sqlite3_extended_errcode(handle) : code;
        if (extended == SQLITE_IOERR_SHORT_READ)
            return -EBADMSG; /* a file is shorter than it must be */
        int os = is_of_writing(extended) ? db_vfs_errno() : handle ? sqlite3_system_errno(handle) : 0;
        return os > 0 ? -os : -EIO;
    }
    default:
        return -EIO;
    }
}

int db_result(struct db *db, int code, const char *doing)
{
    int error = db_errno(db->handle, code);
    if (error == -EBADMSG)
        db->damaged = true;
    if (error == 0 || error == -EBUSY)
        return error;
    struct throttle *reports = &db->reports[(code & 0xff) % DB_CODES]; /* a failing disk fails often */
    if (throttle_due(reports, 1, clock_uptime_ms(), REPORT_EVERY_MS) > 0)
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
        db->damaged = true; /* our SQL is right, so the schema is damaged */
    return db_result(db, code, "prepare a statement") == 0 ? statement : NULL;
}

int db_run(struct db *db, sqlite3_stmt *statement, const char *doing)
{
    if (db->in_transaction && sqlite3_get_autocommit(db->handle))
        return -ECANCELED;
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
