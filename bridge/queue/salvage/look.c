/* queue/salvage/look.c - what SQLite would pass over in silence.
 *
 * Of a write-ahead log SQLite takes the frames before the first one that is
 * damaged. After a power cut that is right: nothing of what comes behind it was
 * synced, but for one commit that was about to be. If a message was committed
 * there, and anything was written after that, its commit had been synced: then the
 * frame was damaged later, and SQLite would lose what was acknowledged.
 */
#include "queue/salvage/internal.h"

#include <string.h>
#include <sys/stat.h>

/* As records of the first schema begin. */
static const char run_types[] = "kttiiiII", message_types[] = "kittitTTTTIIiITTb";

static bool begins_as(const struct record *record, const char *types)
{
    struct record beginning = *record;
    uint32_t columns = (uint32_t)strlen(types);
    beginning.columns = columns;
    return record->columns >= columns && record_fits(&beginning, types, columns);
}

/* A cell of a leaf whose record begins in it as that. */
static bool read_row(const struct node *node, uint32_t index, const char *types, struct cell *ret_cell,
                     struct record *ret)
{
    return node_cell(node, index, ret_cell) &&
           record_parse(ret_cell->local, ret_cell->local_bytes, ret_cell->bytes, ret) &&
           begins_as(ret, types);
}

/* ---- messages behind the damage ---- */

/* The highest id of a message in a page, or 0. */
static int64_t highest_message(const uint8_t *page, uint32_t bytes)
{
    struct node node;
    int64_t highest = 0;
    if (!node_open(page, bytes, 2, 0, &node) || node.type != TABLE_LEAF)
        return 0;
    for (uint32_t i = 0; i < node.cells; i++) {
        struct cell cell;
        struct record record;
        if (read_row(&node, i, message_types, &cell, &record) && cell.rowid > highest)
            highest = cell.rowid;
    }
    return highest;
}

/* The highest id of a message that was committed behind the damage and synced. */
static int64_t highest_behind(const struct pages *pages)
{
    const struct wal *wal = &pages->wal;
    int64_t open = 0, committed = 0, synced = 0;
    cleanup_free uint8_t *page = xcalloc(1, pages->bytes);
    for (uint32_t i = wal->prefix; i < wal->frames; i++) {
        if (wal->pages[i] == 0)
            continue;
        synced = committed; /* something came after that commit */
        salvage_read(pages->wal_fd, wal_offset(wal, i), page, pages->bytes);
        int64_t highest = highest_message(page, pages->bytes);
        open = highest > open ? highest : open;
        if (wal->commits[i])
            committed = open;
    }
    return synced;
}

/* The highest id that SQLite would find, or -1 where it cannot look. */
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

enum { RUNS_MOST = 64 };

struct token {
    int64_t run;
    char text[TOKEN_BYTES];
};

/* The runs in a page. */
static unsigned read_tokens(const uint8_t *page, uint32_t bytes, uint32_t number,
                            struct token tokens[static RUNS_MOST])
{
    struct node node;
    unsigned count = 0;
    if (!node_open(page, bytes, number, 0, &node) || node.type != TABLE_LEAF)
        return 0;
    for (uint32_t i = 0; i < node.cells && count < RUNS_MOST; i++) {
        struct cell cell;
        struct record record;
        if (!read_row(&node, i, run_types, &cell, &record) || record.values[1].bytes != TOKEN_BYTES)
            return 0;
        tokens[count].run = cell.rowid;
        memcpy(tokens[count++].text, record.values[1].data, TOKEN_BYTES);
    }
    return count;
}

static bool contradict(const struct token *a, unsigned a_count, const struct token *b, unsigned b_count)
{
    for (unsigned i = 0; i < a_count; i++)
        for (unsigned j = 0; j < b_count; j++)
            if (a[i].run == b[j].run && memcmp(a[i].text, b[j].text, TOKEN_BYTES) != 0)
                return true;
    return false;
}

static bool is_foreign(struct pages *pages)
{
    struct token newer[RUNS_MOST], older[RUNS_MOST];
    cleanup_free uint8_t *page = xcalloc(1, pages->bytes);
    for (uint32_t i = 1; i <= pages->count; i++) {
        if (!pages->frames || pages->frames[i] == 0 || !pages_read(pages, i, page))
            continue;
        unsigned count = read_tokens(page, pages->bytes, i, newer);
        if (count == 0 || !pages_read_file(pages, i, page))
            continue;
        if (contradict(newer, count, older, read_tokens(page, pages->bytes, i, older)))
            return true;
    }
    return false;
}

/* ---- the whole ---- */

enum log_state salvage_judge_log(const char *path, struct pages *pages)
{
    const struct wal *wal = &pages->wal;
    if (wal->committed == 0)
        return LOG_SOUND;
    if (pages->in_file == 0)
        return LOG_ALONE;
    if (is_foreign(pages))
        return LOG_FOREIGN;
    int64_t behind = wal->prefix < wal->committed ? highest_behind(pages) : 0;
    return behind > 0 && behind > highest_for_sqlite(path) ? LOG_DAMAGED : LOG_SOUND;
}

char *queue_salvage_look(const char *path)
{
    static const char *const words[] = {
        [LOG_DAMAGED] = "its write-ahead log is damaged",
        [LOG_FOREIGN] = "the write-ahead log beside it belongs to another database",
        [LOG_ALONE] = "the database is gone, its write-ahead log is there",
    };
    struct pages pages;
    struct stat status;
    cleanup_free char *real = realpath(path, NULL);
    cleanup_free char *wal = xasprintf("%s-wal", real ? real : path);
    if (stat(wal, &status) != 0 || status.st_size == 0) /* it was closed in order */
        return NULL;
    if (pages_open(real ? real : path, &pages) != 0)
        return NULL;
    enum log_state state = salvage_judge_log(path, &pages);
    pages_close(&pages);
    return state == LOG_SOUND ? NULL : xstrdup(words[state]);
}
