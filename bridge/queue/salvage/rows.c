/* queue/salvage/rows.c - the new database: what is a row of which table, and what must
 * fit together in the end.
 *
 * A record is known by its shape: the tables differ in number and types of columns,
 * and STRICT tables have no others.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "queue/salvage/internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { SQL_BYTES = 8192 };

#define ID_MOST (INT64_C(1) << 53)

static const struct {
    const char *name;
    bool rowid;     /* in a table tree; otherwise in an index tree (WITHOUT ROWID) */
    uint32_t least; /* columns in the first schema; ALTER TABLE adds others behind them */
    bool attempts;  /* of two rows with one id, that of the later state counts */
} tables[TABLES] = {
    [MESSAGE] = {"message", true, 17, true},
    [DEAD_LETTER] = {"dead_letter", true, 19, true},
    [RUN] = {"run", true, 8, false},
    [SUBSCRIPTION] = {"subscription", false, 5, false},
    [DROPPED] = {"dropped", false, 6, false},
    [PROBLEM] = {"problem", false, 3, false},
    [DEVICE] = {"device_state", false, 16, false},
};

/* ---- shapes ---- */

static char letter_of(const char *type, bool nullable)
{
    char letter = strcmp(type, "INTEGER") == 0 ? 'i' : strcmp(type, "BLOB") == 0 ? 'b' : 't';
    return nullable ? (char)(letter - 'a' + 'A') : letter;
}

/* From the new database, so that every later migration is known here too. Tables
 * WITHOUT ROWID store their primary key first. */
static int learn_shape(struct target *target, int table)
{
    struct shape *shape = &target->shapes[table];
    cleanup_free char *sql = xasprintf("SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo('%s')"
                                       " ORDER BY pk = 0, pk, cid",
                                       tables[table].name);
    sqlite3_stmt *row = db_prepare(&target->db, sql);
    if (!row)
        return -EIO;
    int code;
    while ((code = sqlite3_step(row)) == SQLITE_ROW && shape->columns < RECORD_COLUMNS) {
        bool key = sqlite3_column_int(row, 3) != 0;
        bool nullable = !key && sqlite3_column_int(row, 2) == 0;
        shape->names[shape->columns] = xstrdup((const char *)sqlite3_column_text(row, 0));
        shape->types[shape->columns++] =
            key && tables[table].rowid ? 'k' : letter_of((const char *)sqlite3_column_text(row, 1), nullable);
    }
    int error = db_result(&target->db, code, "read the schema");
    sqlite3_finalize(row);
    return error;
}

static int learn_shapes(struct target *target)
{
    int error = 0;
    for (int i = 0; i < TABLES && error == 0; i++)
        error = learn_shape(target, i);
    return error;
}

static bool fits_type(char letter, int type)
{
    switch (letter) {
    case 'k':
        return type == SQLITE_NULL;
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
    case 'B':
        return type == SQLITE_BLOB || type == SQLITE_NULL;
    default:
        return false;
    }
}

bool record_fits(const struct record *record, const char *types, uint32_t least)
{
    if (record->columns < least || record->columns > strlen(types))
        return false;
    for (uint32_t i = 0; i < record->columns; i++)
        if (!fits_type(types[i], record->values[i].type))
            return false;
    return true;
}

int target_table(const struct target *target, const struct record *record, bool rowid)
{
    for (int i = 0; i < TABLES; i++)
        if (tables[i].rowid == rowid && record_fits(record, target->shapes[i].types, tables[i].least))
            return i;
    return -1;
}

/* ---- into the new database ---- */

/* Rows of the same id: in pages that are not in use any more. */
static void append_conflict(struct buf *sql, int table, char *const *names, uint32_t columns)
{
    const char *name = tables[table].name;
    if (table == DEVICE) { /* only the newest may be believed: with another, readings would count as lost */
        buf_append_text(sql, " ON CONFLICT (ack_topic) DO UPDATE SET ");
        for (uint32_t i = 1; i < columns; i++)
            buf_printf(sql, "%s%s = excluded.%s", i > 1 ? ", " : "", names[i], names[i]);
        buf_printf(sql, " WHERE excluded.stored > %s.stored", name);
        return;
    }
    if (!tables[table].attempts) {
        buf_append_text(sql, " ON CONFLICT DO NOTHING");
        return;
    }
    buf_append_text(sql, " ON CONFLICT (id) DO UPDATE SET ");
    for (uint32_t i = 1; i < columns; i++)
        buf_printf(sql, "%s%s = excluded.%s", i > 1 ? ", " : "", names[i], names[i]);
    buf_printf(sql,
               " WHERE excluded.run > %s.run OR (excluded.run = %s.run AND excluded.attempts > %s.attempts)",
               name, name, name);
}

static sqlite3_stmt *prepare_insert(struct target *target, int table, uint32_t columns)
{
    struct shape *shape = &target->shapes[table];
    if (shape->insert && shape->insert_columns == columns)
        return shape->insert;
    sqlite3_finalize(shape->insert);
    cleanup_buf struct buf sql;
    buf_init(&sql, SQL_BYTES);
    buf_printf(&sql, "INSERT INTO %s (", tables[table].name);
    for (uint32_t i = 0; i < columns; i++)
        buf_printf(&sql, "%s%s", i > 0 ? ", " : "", shape->names[i]);
    buf_append_text(&sql, ") VALUES (");
    for (uint32_t i = 0; i < columns; i++)
        buf_printf(&sql, "%s?%u", i > 0 ? ", " : "", i + 1);
    buf_append_text(&sql, ")");
    append_conflict(&sql, table, shape->names, columns);
    assert(!buf_overflowed(&sql));
    shape->insert = db_prepare(&target->db, buf_text(&sql));
    shape->insert_columns = columns;
    return shape->insert;
}

static void bind_value(sqlite3_stmt *statement, int column, const struct value *value)
{
    const void *data = value->bytes > 0 ? value->data : (const uint8_t *)"";
    switch (value->type) {
    case SQLITE_INTEGER:
        sqlite3_bind_int64(statement, column, value->integer);
        break;
    case SQLITE_TEXT:
        sqlite3_bind_text64(statement, column, data, value->bytes, SQLITE_STATIC, SQLITE_UTF8);
        break;
    case SQLITE_BLOB:
        sqlite3_bind_blob64(statement, column, data, value->bytes, SQLITE_STATIC);
        break;
    default:
        sqlite3_bind_null(statement, column);
    }
}

/* What the types do not tell. */
static bool is_plausible(int table, int64_t rowid, const struct record *record)
{
    if (!tables[table].rowid)
        return true;
    if (rowid <= 0 || rowid > ID_MOST)
        return false;
    if (table == RUN)
        return record->values[1].bytes == TOKEN_BYTES;
    return record->values[1].integer > 0; /* its run */
}

bool target_insert(struct target *target, int table, int64_t rowid, const struct record *record)
{
    if (!is_plausible(table, rowid, record))
        return false;
    sqlite3_stmt *insert = prepare_insert(target, table, record->columns);
    if (!insert) {
        target->error = -EIO;
        return false;
    }
    for (uint32_t i = 0; i < record->columns; i++)
        bind_value(insert, (int)i + 1, &record->values[i]);
    if (tables[table].rowid)
        sqlite3_bind_int64(insert, 1, rowid);
    int code = sqlite3_step(insert);
    sqlite3_reset(insert);
    sqlite3_clear_bindings(insert);
    fault_fails("salvage.row");
    if (code == SQLITE_CONSTRAINT)
        return false;
    if (code != SQLITE_DONE)
        target->error = db_result(&target->db, code, "write the new database");
    return target->error == 0;
}

/* ---- what must fit together ---- */

static int run_sql(struct target *target, const char *sql)
{
    return db_result(&target->db, sqlite3_exec(target->db.handle, sql, NULL, NULL, NULL),
                     "finish the new database");
}

/* A message is in one of the tables, the one where it is now. */
static const char one_place_sql[] = "DELETE FROM message WHERE id IN (SELECT id FROM dead_letter)";

static const char lost_runs_sql[] =
    "SELECT run, max(uptime_ms), sum(n) FROM (SELECT run, uptime_ms, 1 AS n FROM message"
    " UNION ALL SELECT run, uptime_ms, 1 FROM dead_letter)"
    " WHERE run NOT IN (SELECT id FROM run) GROUP BY run";

/* A run that is lost gets a new token, and a time that is not known. */
static int replace_run(struct target *target, int64_t id, int64_t uptime_ms)
{
    uint64_t token;
    if (getrandom(&token, sizeof token, 0) != (ssize_t)sizeof token)
        return -EIO;
    cleanup_free char *sql =
        xasprintf("INSERT INTO run (id, token, boot_id, epoch_ms, synchronised)"
                  " VALUES (%lld, '%016llx', 'lost', %lld, 0)",
                  (long long)id, (unsigned long long)token, (long long)(clock_wall_ms() - uptime_ms));
    return run_sql(target, sql);
}

static int replace_lost_runs(struct target *target)
{
    sqlite3_stmt *row = db_prepare(&target->db, lost_runs_sql);
    if (!row)
        return -EIO;
    int code, error = 0;
    while (error == 0 && (code = sqlite3_step(row)) == SQLITE_ROW) {
        target->rekeyed += (uint64_t)sqlite3_column_int64(row, 2);
        error = replace_run(target, sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1));
    }
    if (error == 0)
        error = db_result(&target->db, code, "look for lost runs");
    sqlite3_finalize(row);
    return error;
}

static uint64_t count_rows(struct target *target, const char *sql)
{
    uint64_t count = 0;
    sqlite3_stmt *row = db_prepare(&target->db, sql);
    if (row && sqlite3_step(row) == SQLITE_ROW)
        count = (uint64_t)sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return count;
}

int target_finish(struct target *target, struct salvage_result *ret)
{
    int error = run_sql(target, one_place_sql);
    if (error == 0)
        error = replace_lost_runs(target);
    /* Of a run known by its token only, the newest message came just now. */
    cleanup_free char *epochs =
        xasprintf("UPDATE run SET epoch_ms = %lld - (SELECT coalesce(max(uptime_ms), 0) FROM message"
                  " WHERE message.run = run.id) WHERE boot_id = 'lost'",
                  (long long)clock_wall_ms());
    if (error == 0)
        error = run_sql(target, epochs);
    ret->messages = count_rows(target, "SELECT count(*) FROM message");
    ret->dead_letters = count_rows(target, "SELECT count(*) FROM dead_letter");
    ret->rekeyed = target->rekeyed;
    return error;
}

/* ---- opening and closing ---- */

int target_open(const char *path, struct target *ret)
{
    struct target target = {.error = 0};
    int error = db_create(path, &target.db);
    if (error != 0)
        return error;
    error = learn_shapes(&target);
    if (error != 0) {
        target_close(&target, NULL);
        return error;
    }
    *ret = target;
    return 0;
}

static int sync_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    return error;
}

int target_close(struct target *target, const char *keep)
{
    for (int i = 0; i < TABLES; i++) {
        sqlite3_finalize(target->shapes[i].insert);
        for (uint32_t j = 0; j < target->shapes[i].columns; j++)
            free(target->shapes[i].names[j]);
    }
    int error = db_create_done(&target->db, keep != NULL);
    return error == 0 && keep ? sync_file(keep) : error;
}
