/* queue/salvage/tables.c - the tables of a queue, and the SQL that is made of their
 * columns.
 *
 * The columns come from the schema of a new queue, so a new column needs no change here.
 * A row of an older schema has fewer columns; SQLite supplies the defaults, as it does
 * after ALTER TABLE ADD COLUMN.
 */
#include "queue/salvage/tables.h"

#include <errno.h>
#include <string.h>

/* Of two copies of a message, one is on a page that is no longer in use. */
#define LATER_STATE "(excluded.run, excluded.attempts) > (old.run, old.attempts)"

const struct table_facts table_facts[TABLES] = {
    [MESSAGE] = {"message", true, true, LATER_STATE},
    [DEAD_LETTER] = {"dead_letter", true, true, LATER_STATE},
    [RUN] = {"run", true, true, NULL},
    [SCHEMA] = {"salvage_schema", true, false, NULL},
    [FINGERPRINT] = {"fingerprint", true, false, NULL},
    [RESCAN] = {"rescan", true, false, NULL},
    [LAST_COPIES] = {"last_copies", true, false, NULL},
    [HELD] = {"held", true, true, NULL},
    [RUN_TOKEN] = {"salvage_token", false, true, NULL},
    [PROBLEM] = {"problem", false, true, NULL},
    [SUBSCRIPTION] = {"subscription", false, true, NULL},
    [SESSION] = {"session", false, true, NULL},
    [DROPPED] = {"dropped", false, true, NULL},
    /* With an older state, readings would count as lost. */
    [DEVICE] = {"device_state", false, true, "excluded.stored > old.stored"},
};

static int add_temporary(struct db *db)
{
    static const char sql[] =
        "PRAGMA temp_store=MEMORY;"
        "CREATE TEMP TABLE salvage_schema (type TEXT NOT NULL, name TEXT NOT NULL, tbl_name TEXT NOT NULL,"
        " rootpage INTEGER, sql TEXT);"
        "CREATE TEMP TABLE salvage_token (token TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID";
    return db_exec(db, sql, "add temporary tables");
}

static char *copy_text(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return xstrdup(text ? text : "");
}

static int learn(struct db *db, enum table table, struct table_columns *ret)
{
    static const char sql[] =
        "SELECT group_concat(name, ', '), group_concat('?', ', '),"
        " group_concat(name || CASE WHEN pk AND ?2 THEN ' INTEGER PRIMARY KEY'"
        "              ELSE coalesce(' DEFAULT ' || dflt_value, '') END, ', '),"
        " group_concat(CASE WHEN pk THEN name END, ', '),"
        " group_concat(CASE WHEN NOT pk THEN name || ' = excluded.' || name END, ', '),"
        " group_concat(CASE WHEN pk AND ?2 THEN NULL WHEN pk OR \"notnull\" THEN"
        "              'typeof(' || name || ') = ''' || lower(type) || ''''"
        "              ELSE 'typeof(' || name || ') IN (''' || lower(type) || ''', ''null'')' END, ' AND ')"
        " FROM pragma_table_xinfo(?1)";
    sqlite3_stmt *row = db_prepare(db, sql);
    if (!row)
        return -EIO;
    sqlite3_bind_text(row, 1, table_facts[table].name, -1, SQLITE_STATIC);
    sqlite3_bind_int(row, 2, table_facts[table].rowid);
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW)
        *ret = (struct table_columns){
            .names = copy_text(row, 0),
            .values = copy_text(row, 1),
            .declared = copy_text(row, 2),
            .key = copy_text(row, 3),
            .updates = copy_text(row, 4),
            .checks = copy_text(row, 5),
        };
    sqlite3_finalize(row);
    return db_result(db, code, "read the schema");
}

int tables_learn(struct db *db, struct table_columns ret[static TABLES])
{
    memset(ret, 0, TABLES * sizeof *ret);
    int error = add_temporary(db);
    for (int i = 0; i < TABLES && error == 0; i++)
        error = learn(db, (enum table)i, &ret[i]);
    return error;
}

void tables_done(struct table_columns columns[static TABLES])
{
    for (int i = 0; i < TABLES; i++) {
        free(columns[i].names);
        free(columns[i].values);
        free(columns[i].declared);
        free(columns[i].key);
        free(columns[i].updates);
        free(columns[i].checks);
    }
}
