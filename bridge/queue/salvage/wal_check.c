/* queue/salvage/wal_check.c - damage in a write-ahead log that SQLite would ignore.
 *
 * SQLite uses the frames before the first damaged one. After a power cut that is right:
 * the later ones were not synced, except those of one commit that was just being synced.
 * But if a message was committed in a later frame, and anything was written after that
 * commit, then the commit had been synced. So the frame was damaged afterwards, and SQLite
 * would lose messages that were acknowledged.
 */
#include "queue/salvage/wal_check.h"
#include "queue/salvage/reader.h"
#include "queue/salvage/salvage.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- messages in frames after the damage ---- */

/* The highest id of a message that was committed after the damage, and synced. */
static int64_t highest_after_damage(const struct pages *pages, struct reader *reader)
{
    const struct wal *wal = &pages->wal;
    int64_t open = 0, committed = 0, synced = 0;
    uint8_t page[PAGE_BYTES];
    for (uint32_t i = wal->prefix; i < wal->frames; i++) {
        if (wal->pages[i] == 0)
            continue;
        synced = committed; /* something was written after that commit */
        if (wal_read(pages->wal_fd, i, page) && page[0] == TABLE_LEAF) {
            reader_show(reader, page, wal->pages[i], TABLE_LEAF);
            int64_t highest = reader_highest_message(reader);
            open = highest > open ? highest : open;
        }
        if (wal->sizes[i] != 0)
            committed = open;
    }
    return synced;
}

/* The highest id that SQLite would find, or -1 where it cannot read the database. */
static int64_t highest_for_sqlite(const char *path)
{
    sqlite3 *handle = NULL;
    sqlite3_stmt *row = NULL;
    int64_t highest = -1;
    static const char sql[] = "SELECT max(coalesce((SELECT max(id) FROM message), 0),"
                              " coalesce((SELECT max(id) FROM dead_letter), 0))";
    if (sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK) {
        sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        if (sqlite3_prepare_v2(handle, sql, -1, &row, NULL) == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW)
            highest = sqlite3_column_int64(row, 0);
    }
    sqlite3_finalize(row);
    sqlite3_close(handle);
    return highest;
}

/* ---- a write-ahead log of another database ---- */

enum { RUNS_MOST = 64, TOKEN_BYTES = 16 };

struct run {
    int64_t id;
    char token[TOKEN_BYTES + 1];
};

static unsigned read_runs(struct reader *reader, const uint8_t *page, uint32_t number,
                          struct run runs[static RUNS_MOST])
{
    unsigned count = 0;
    uint32_t cells = page[0] == TABLE_LEAF ? reader_show(reader, page, number, TABLE_LEAF) : 0;
    for (uint32_t i = 0; i < cells && count < RUNS_MOST; i++) {
        sqlite3_stmt *row = reader_row(reader, RUN, i);
        if (!row)
            return 0;
        runs[count].id = sqlite3_column_int64(row, 0);
        snprintf(runs[count++].token, sizeof runs->token, "%s", (const char *)sqlite3_column_text(row, 1));
    }
    return count;
}

static bool contradict(const struct run *a, unsigned a_count, const struct run *b, unsigned b_count)
{
    for (unsigned i = 0; i < a_count; i++)
        for (unsigned j = 0; j < b_count; j++)
            if (a[i].id == b[j].id && strcmp(a[i].token, b[j].token) != 0)
                return true;
    return false;
}

static bool is_foreign(struct pages *pages, struct reader *reader)
{
    struct run newer[RUNS_MOST], older[RUNS_MOST];
    uint8_t page[PAGE_BYTES];
    for (uint32_t i = 2; i <= pages->count; i++) {
        if (pages->frames[i] == 0 || !pages_read(pages, i, page))
            continue;
        unsigned count = read_runs(reader, page, i, newer);
        if (count > 0 && pages_read_file(pages, i, page) &&
            contradict(newer, count, older, read_runs(reader, page, i, older)))
            return true;
    }
    return false;
}

/* ---- the check ---- */

static enum wal_state compare(const char *path, struct pages *pages, struct reader *reader)
{
    if (is_foreign(pages, reader))
        return WAL_FOREIGN;
    if (pages->wal.prefix == pages->wal.committed)
        return WAL_SOUND;
    int64_t highest = highest_after_damage(pages, reader);
    return highest > 0 && highest > highest_for_sqlite(path) ? WAL_DAMAGED : WAL_SOUND;
}

int wal_check(const char *path, struct pages *pages, enum wal_state *ret)
{
    struct db newest; /* knows the columns of the tables */
    struct table_columns columns[TABLES];
    struct reader *reader = NULL;
    *ret = WAL_SOUND;
    if (pages->wal.committed == 0)
        return 0;
    if (pages->in_file == 0) {
        *ret = WAL_ALONE;
        return 0;
    }
    int error = db_open_stand_in(&newest);
    if (error != 0)
        return error;
    error = tables_learn(&newest, columns);
    if (error == 0)
        error = reader_open(pages, columns, &reader);
    if (error == 0)
        *ret = compare(path, pages, reader);
    reader_close(reader);
    tables_done(columns);
    sqlite3_close(newest.handle);
    return error;
}
