/* queue/salvage/reader.c - lets SQLite read one page as if it were a whole table.
 *
 * SQLite knows the format of rows, and it is tested against damaged databases far better
 * than a parser of ours would be. It only has to be kept from following the tree, because
 * a damaged page in the tree hides the sound pages below it. So it opens a database that
 * does not exist, by a VFS of ours:
 *
 *     page 1    a schema with all tables of a queue; the root of each is page 2
 *     page 2    the page that is shown
 *     page N    page N of the damaged database
 *
 * Thus every leaf is a complete table. The page that is shown leads only to the pages of
 * long payloads. Page 2 of a queue is always a page of the pointer map (db/db.c makes
 * auto_vacuum databases only), so no row leads to it.
 *
 * Each page that is shown increases the change counter in page 1. SQLite then takes the
 * database for changed by somebody else, and forgets the pages in its cache.
 */
#include "queue/salvage/reader.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

struct cursor {
    sqlite3_stmt *rows; /* the last column: whether it is a row of this table */
    uint32_t next;      /* the row that the next step returns */
};

struct reader {
    struct pages *pages;
    sqlite3_vfs vfs;
    sqlite3 *handle;
    sqlite3_stmt *ids, *highest;
    struct cursor cursors[TABLES];
    uint8_t schema[PAGE_BYTES], shown[PAGE_BYTES];
    uint32_t number, cells, changes;
    uint32_t *chain;    /* by page: the number of the shown page whose payload continues there */
    uint32_t continues; /* where the payload continues that was read last; 0: it ended */
};

/* ---- payloads in overflow pages (section 1.7) ---- */

/* The pointer map knows the page before each overflow page. A wrong page would end up in a
 * payload. */
static bool check_overflow(struct reader *reader, uint32_t number, const uint8_t *page)
{
    uint32_t parent, next = get4(page);
    enum page_use use = pages_map(reader->pages, number, &parent);
    if (use != USE_UNKNOWN && parent != reader->number && reader->chain[number] != reader->number)
        return false;
    reader->continues = next;
    if (next == 0)
        return true;
    if (next > reader->pages->count ||
        (pages_map(reader->pages, next, &parent) != USE_UNKNOWN && parent != number))
        return false;
    reader->chain[next] = reader->number;
    return true;
}

/* ---- the file that SQLite reads ---- */

struct file {
    sqlite3_file base;
    struct reader *reader;
};

static int file_read(sqlite3_file *base, void *data, int bytes, sqlite3_int64 at)
{
    struct reader *reader = ((struct file *)base)->reader;
    uint8_t buffer[PAGE_BYTES];
    const uint8_t *page = buffer;
    uint32_t number = (uint32_t)(at / PAGE_BYTES) + 1, offset = (uint32_t)(at % PAGE_BYTES);
    assert(bytes > 0 && offset + (uint32_t)bytes <= PAGE_BYTES);
    if (number == 1)
        page = reader->schema;
    else if (number == 2)
        page = reader->shown;
    else if (!pages_read(reader->pages, number, buffer) || !check_overflow(reader, number, buffer))
        return SQLITE_CORRUPT;
    memcpy(data, page + offset, (size_t)bytes);
    return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *ret)
{
    uint32_t count = ((struct file *)base)->reader->pages->count;
    *ret = (sqlite3_int64)(count > 2 ? count : 2) * PAGE_BYTES;
    return SQLITE_OK;
}

static int file_close(sqlite3_file *base)
{
    (void)base;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *base, int lock)
{
    (void)base, (void)lock;
    return SQLITE_OK;
}

static int file_is_reserved(sqlite3_file *base, int *ret)
{
    (void)base;
    *ret = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int operation, void *argument)
{
    (void)base, (void)operation, (void)argument;
    return SQLITE_NOTFOUND;
}

static int file_traits(sqlite3_file *base)
{
    (void)base;
    return 0;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *ret_flags)
{
    static const sqlite3_io_methods methods = {
        .iVersion = 1,
        .xClose = file_close,
        .xRead = file_read,
        .xFileSize = file_size,
        .xLock = file_lock,
        .xUnlock = file_lock,
        .xCheckReservedLock = file_is_reserved,
        .xFileControl = file_control,
        .xDeviceCharacteristics = file_traits,
    };
    (void)name;
    base->pMethods = NULL;
    if (!(flags & SQLITE_OPEN_MAIN_DB))
        return SQLITE_CANTOPEN; /* it writes nothing, so it needs no other file */
    *(struct file *)base = (struct file){.base.pMethods = &methods, .reader = vfs->pAppData};
    if (ret_flags)
        *ret_flags = flags;
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    (void)vfs, (void)name, (void)flags;
    *ret = 0; /* there is no journal */
    return SQLITE_OK;
}

static int vfs_full_name(sqlite3_vfs *vfs, const char *name, int bytes, char *ret)
{
    (void)vfs;
    sqlite3_snprintf(bytes, ret, "%s", name);
    return SQLITE_OK;
}

/* ---- the schema page ---- */

/* A row with a column more than the table is none of that table. */
static char *declare(enum table table, const struct table_columns *columns)
{
    const char *name = table_facts[table].name;
    return table_facts[table].rowid
               ? xasprintf("CREATE TABLE %s (%s, beyond)", name, columns->declared)
               : xasprintf("CREATE TABLE %s (%s, beyond, PRIMARY KEY (%s)) WITHOUT ROWID", name,
                           columns->declared, columns->key);
}

static int make_schema(sqlite3 *handle, const struct table_columns columns[static TABLES],
                       uint8_t ret[static PAGE_BYTES])
{
    sqlite3_int64 bytes = 0;
    cleanup_free char *begin = xasprintf("PRAGMA page_size=%d; PRAGMA auto_vacuum=NONE", PAGE_BYTES);
    int code = sqlite3_exec(handle, begin, NULL, NULL, NULL);
    for (int i = 0; i < TABLES && code == SQLITE_OK; i++) {
        cleanup_free char *sql = declare((enum table)i, &columns[i]);
        code = sqlite3_exec(handle, sql, NULL, NULL, NULL);
    }
    if (code == SQLITE_OK)
        code = sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(handle, "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET rootpage = 2", NULL,
                            NULL, NULL);
    if (code != SQLITE_OK)
        return code;
    unsigned char *image = sqlite3_serialize(handle, "main", &bytes, 0);
    if (!image)
        return SQLITE_NOMEM;
    assert(image[100] == TABLE_LEAF); /* the schema fits in one page */
    memcpy(ret, image, PAGE_BYTES);
    memset(ret + 28, 0, 4); /* as many pages as the file has */
    sqlite3_free(image);
    return SQLITE_OK;
}

/* ---- opening ---- */

static int prepare(struct reader *reader, const struct table_columns columns[static TABLES])
{
    cleanup_free char *highest =
        xasprintf("SELECT max(id) FROM message WHERE beyond IS NULL AND %s", columns[MESSAGE].checks);
    int code = sqlite3_prepare_v2(reader->handle, "SELECT id FROM message", -1, &reader->ids, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(reader->handle, highest, -1, &reader->highest, NULL);
    for (int i = 0; i < TABLES && code == SQLITE_OK; i++) {
        cleanup_free char *sql = xasprintf("SELECT %s, beyond IS NULL AND %s FROM %s LIMIT -1 OFFSET ?1",
                                           columns[i].names, columns[i].checks, table_facts[i].name);
        code = sqlite3_prepare_v2(reader->handle, sql, -1, &reader->cursors[i].rows, NULL);
    }
    return code;
}

static int open_handle(struct reader *reader, const struct table_columns columns[static TABLES])
{
    sqlite3 *memory = NULL;
    int code = sqlite3_open_v2(":memory:", &memory, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK)
        code = make_schema(memory, columns, reader->schema);
    sqlite3_close(memory);
    if (code == SQLITE_OK)
        code = sqlite3_open_v2("page", &reader->handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
                               reader->vfs.zName);
    return code == SQLITE_OK ? prepare(reader, columns) : code;
}

int reader_open(struct pages *pages, const struct table_columns columns[static TABLES], struct reader **ret)
{
    struct reader *reader = xcalloc(1, sizeof *reader);
    reader->pages = pages;
    reader->chain = xcalloc((size_t)pages->count + 1, sizeof *reader->chain);
    reader->vfs = *sqlite3_vfs_find(NULL); /* for what is not about files: time, randomness */
    reader->vfs.zName = "sluice-page";
    reader->vfs.szOsFile = sizeof(struct file);
    reader->vfs.pAppData = reader;
    reader->vfs.xOpen = vfs_open;
    reader->vfs.xAccess = vfs_access;
    reader->vfs.xFullPathname = vfs_full_name;
    int code = sqlite3_vfs_register(&reader->vfs, 0);
    if (code == SQLITE_OK)
        code = open_handle(reader, columns);
    if (code != SQLITE_OK) {
        int error = db_errno(reader->handle, code);
        reader_close(reader);
        return error;
    }
    *ret = reader;
    return 0;
}

void reader_close(struct reader *reader)
{
    if (!reader)
        return;
    sqlite3_finalize(reader->ids);
    sqlite3_finalize(reader->highest);
    for (int i = 0; i < TABLES; i++)
        sqlite3_finalize(reader->cursors[i].rows);
    sqlite3_close(reader->handle);
    sqlite3_vfs_unregister(&reader->vfs);
    free(reader->chain);
    free(reader);
}

/* ---- reading ---- */

/* An interior page of an index holds rows too. Its cells are those of a leaf, after the
 * number of a child. */
static void make_leaf(uint8_t *page, uint32_t cells)
{
    page[0] = INDEX_LEAF;
    for (uint32_t i = 0; i < cells; i++) {
        uint32_t at = get2(page + 12 + 2 * (size_t)i) + 4;
        page[8 + 2 * i] = (uint8_t)(at >> 8);
        page[9 + 2 * i] = (uint8_t)at;
    }
}

uint32_t reader_show(struct reader *reader, const uint8_t page[static PAGE_BYTES], uint32_t number,
                     enum page_type type)
{
    for (int i = 0; i < TABLES; i++)
        sqlite3_reset(reader->cursors[i].rows);
    memcpy(reader->shown, page, PAGE_BYTES);
    reader->shown[0] = (uint8_t)type;
    reader->number = number;
    reader->cells = get2(page + 3) <= CELLS_MOST ? get2(page + 3) : 0;
    if (type == INDEX_INTERIOR)
        make_leaf(reader->shown, reader->cells);
    reader->changes++;
    memcpy(reader->schema + 24, &reader->changes, sizeof reader->changes);
    return reader->cells;
}

uint32_t reader_ids(struct reader *reader, int64_t ids[static CELLS_MOST])
{
    uint32_t count = 0;
    while (count < CELLS_MOST && sqlite3_step(reader->ids) == SQLITE_ROW)
        ids[count++] = sqlite3_column_int64(reader->ids, 0);
    sqlite3_reset(reader->ids);
    return count;
}

int64_t reader_highest_message(struct reader *reader)
{
    int64_t highest = 0;
    if (sqlite3_step(reader->highest) == SQLITE_ROW)
        highest = sqlite3_column_int64(reader->highest, 0);
    sqlite3_reset(reader->highest);
    return highest;
}

sqlite3_stmt *reader_row(struct reader *reader, enum table table, uint32_t index)
{
    struct cursor *cursor = &reader->cursors[table];
    if (!sqlite3_stmt_busy(cursor->rows) || cursor->next != index) {
        sqlite3_reset(cursor->rows);
        sqlite3_bind_int64(cursor->rows, 1, index);
    }
    cursor->next = index + 1;
    reader->continues = 0;
    if (sqlite3_step(cursor->rows) != SQLITE_ROW) {
        sqlite3_reset(cursor->rows);
        return NULL;
    }
    bool belongs = sqlite3_column_int(cursor->rows, sqlite3_column_count(cursor->rows) - 1);
    /* SQLite does not check that the last page of a payload leads nowhere. */
    return belongs && reader->continues == 0 ? cursor->rows : NULL;
}
