/* db/schema.c - whose database it is, and how it gets the newest schema; see db/schema.h. */
#include "db/schema.h"
#include "base/log.h"
#include "db/transaction.h"

#include <errno.h>

enum { VERSION_MOST = 1000 }; /* a higher number is not one of ours */

/* The version alone does not identify our database: other programs keep theirs in the same
 * place, and it may be the damaged part. */
int schema_identify(struct db *db, const char *path, char **ret_why)
{
    int64_t version = 0, objects = 0, ours = 0;
    int error = db_number(db, "PRAGMA user_version", &version);
    if (error == 0)
        error = db_number(db, "SELECT count(*) FROM sqlite_schema", &objects);
    if (error == 0)
        error = db_number(db,
                          "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"
                          " AND name IN ('run', 'message', 'dead_letter', 'subscription')",
                          &ours);
    if (error != 0)
        return error;
    if (objects > 0 && ours < 2) {
        *ret_why =
            xasprintf("%s: this is a database of another program; name another file in [queue] path", path);
        return -EEXIST;
    }
    if (version < 0 || version > VERSION_MOST || (version == 0) != (objects == 0))
        return -EBADMSG;
    if (version > schema_migration_count) {
        *ret_why = xasprintf(
            "%s: made by another version of sluice (schema %d, this one knows up to %d): install that "
            "version again, or move the file away to start an empty queue",
            path, (int)version, schema_migration_count);
        return -EPROTONOSUPPORT;
    }
    return 0;
}

static int apply(struct db *db, const struct schema_migration *migration)
{
    int error = db_begin(db, DB_SYNC);
    if (error != 0)
        return error;
    error = db_exec(db, migration->sql, "apply a migration");
    if (error == 0) {
        cleanup_free char *pragma = xasprintf("PRAGMA user_version=%d", migration->number);
        error = db_exec(db, pragma, "set the version of the schema");
    }
    if (error != 0) {
        if (sqlite3_errcode(db->handle) == SQLITE_ERROR)
            db->damaged = true; /* our SQL is right, so the schema is damaged */
        db_rollback(db);
        return error;
    }
    return db_commit(db);
}

int schema_migrate(struct db *db, const char *path, const struct schema_migration *migrations, int count)
{
    int64_t version = 0;
    int error = db_number(db, "PRAGMA user_version", &version);
    for (int i = (int)version; i < count && error == 0; i++) {
        error = apply(db, &migrations[i]);
        if (error == 0 && path)
            log_info(EVENT_SCHEMA_APPLIED, "%s: schema/%s", path, migrations[i].name);
    }
    return error;
}

int schema_check(const char *path, int version, int newest, char **ret_why)
{
    if (version == newest)
        return 0;
    *ret_why = version == 0 ? xasprintf("%s: this is no queue of sluice", path)
               : version < newest
                   ? xasprintf("%s: an older sluice made it (schema %d, this one has %d): start sluice once, "
                               "which brings it up to date",
                               path, version, newest)
                   : xasprintf("%s: a newer sluice made it (schema %d, this one has %d): use that one", path,
                               version, newest);
    return -EPROTONOSUPPORT;
}
