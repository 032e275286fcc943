/* queue/salvage/target.c - the new database, into which rows are salvaged. */
#include "queue/salvage/target.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/fault.h"

#include <errno.h>

enum { TOKEN_BYTES = 16 }; /* of a run, in hexadecimal */

#define ID_MOST (INT64_C(1) << 53)

/* ---- rows ---- */

/* What the types of the columns do not show. */
static bool is_plausible(enum table table, sqlite3_stmt *row)
{
    int64_t id = sqlite3_column_int64(row, 0);
    if (table_facts[table].rowid && (id <= 0 || id > ID_MOST) && table != SCHEMA)
        return false;
    switch (table) {
    case MESSAGE:
    case DEAD_LETTER:
        return sqlite3_column_int64(row, 1) > 0; /* its run */
    case RUN:
        return sqlite3_column_bytes(row, 1) == TOKEN_BYTES;
    case RUN_TOKEN:
        return sqlite3_column_bytes(row, 0) == TOKEN_BYTES;
    default:
        return true;
    }
}

bool target_insert(struct target *target, enum table table, sqlite3_stmt *row)
{
    sqlite3_stmt *insert = target->inserts[table];
    if (!is_plausible(table, row))
        return false;
    if (!insert)
        return true;
    for (int i = 0; i < sqlite3_bind_parameter_count(insert); i++)
        sqlite3_bind_value(insert, i + 1, sqlite3_column_value(row, i));
    int code = sqlite3_step(insert);
    sqlite3_reset(insert);
    sqlite3_clear_bindings(insert);
    fault_fails("salvage.row");
    if (code == SQLITE_CONSTRAINT)
        return false;
    target->error = db_result(&target->db, code, "write the new database");
    return target->error == 0;
}

/* ---- what must fit together ---- */

static int count(struct target *target, const char *sql, uint64_t *ret)
{
    sqlite3_stmt *row = db_prepare(&target->db, sql);
    if (!row)
        return -EIO;
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW)
        *ret = (uint64_t)sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return db_result(&target->db, code, "count rows");
}

/* A message is in one of the two tables. A run whose row is lost keeps its token, and
 * thereby the keys of its messages, when the index on the tokens is readable. Otherwise it
 * gets a new one. Its clock is unknown, so the newest of its messages came just now. */
static const char finish_sql[] = "DELETE FROM message WHERE id IN (SELECT id FROM dead_letter);"
                                 "INSERT OR IGNORE INTO run (id, token, boot_id, epoch_ms, synchronised)"
                                 " SELECT id, token, 'lost', 0, 0 FROM salvage_token;"
                                 "CREATE TEMP VIEW salvaged AS SELECT run, uptime_ms FROM message"
                                 " UNION ALL SELECT run, uptime_ms FROM dead_letter";
static const char replace_runs_sql[] =
    "INSERT INTO run (id, token, boot_id, epoch_ms, synchronised)"
    " SELECT run, lower(hex(randomblob(8))), 'lost', 0, 0 FROM salvaged"
    " WHERE run NOT IN (SELECT id FROM run) GROUP BY run;"
    "UPDATE run SET epoch_ms = %lld - (SELECT coalesce(max(uptime_ms), 0) FROM salvaged"
    " WHERE run = run.id) WHERE boot_id = 'lost'";

/* That messages up to the highest id that was used may be lost (queue/confirm.h). */
static const char add_fingerprint_sql[] =
    "INSERT INTO fingerprint (id, packet_id, digest) SELECT id, 0, 0 FROM (SELECT max("
    " (SELECT coalesce(max(id), 0) FROM message), (SELECT coalesce(max(id), 0) FROM dead_letter),"
    " (SELECT coalesce(max(max(reserved_id, confirmed_id)), 0) FROM run)) AS id) WHERE id > 0";

int target_finish(struct target *target, struct target_counts *ret)
{
    int error = db_exec(&target->db, finish_sql, "finish the new database");
    if (error == 0)
        error = count(target, "SELECT count(*) FROM salvaged WHERE run NOT IN (SELECT id FROM run)",
                      &ret->rekeyed);
    cleanup_free char *replace = xasprintf(replace_runs_sql, (long long)clock_wall_ms());
    if (error == 0)
        error = db_exec(&target->db, replace, "replace lost runs");
    if (error == 0)
        error = db_exec(&target->db, add_fingerprint_sql, "finish the new database");
    if (error == 0)
        error = count(target, "SELECT count(*) FROM message", &ret->messages);
    if (error == 0)
        error = count(target, "SELECT count(*) FROM dead_letter", &ret->dead_letters);
    return error;
}

/* ---- opening and closing ---- */

static int prepare_insert(struct target *target, enum table table)
{
    const struct table_columns *columns = &target->columns[table];
    const char *newer = table_facts[table].newer;
    cleanup_free char *update =
        newer ? xasprintf("(%s) DO UPDATE SET %s WHERE %s", columns->key, columns->updates, newer)
              : xstrdup("DO NOTHING");
    cleanup_free char *sql = xasprintf("INSERT INTO %s AS old (%s) VALUES (%s) ON CONFLICT %s",
                                       table_facts[table].name, columns->names, columns->values, update);
    target->inserts[table] = db_prepare(&target->db, sql);
    return target->inserts[table] ? 0 : -EIO;
}

int target_open(const char *path, struct target *ret)
{
    struct target target = {.error = 0};
    int error = db_create(path, &target.db);
    if (error != 0)
        return error;
    error = tables_learn(&target.db, target.columns);
    for (int i = 0; i < TABLES && error == 0; i++)
        if (table_facts[i].copied)
            error = prepare_insert(&target, (enum table)i);
    if (error != 0) {
        target_close(&target, NULL);
        return error;
    }
    *ret = target;
    return 0;
}

int target_close(struct target *target, const char *keep)
{
    for (int i = 0; i < TABLES; i++)
        sqlite3_finalize(target->inserts[i]);
    tables_done(target->columns);
    int error = db_create_done(&target->db, keep != NULL);
    return error == 0 && keep ? disk_sync_path(keep) : error;
}
