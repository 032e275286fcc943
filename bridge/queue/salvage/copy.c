/* queue/salvage/copy.c - chooses the pages of a damaged database, and copies their rows.
 *
 * Every page counts that is in use and that looks like one with rows. The trees are not
 * followed: a damaged interior page hides the pages below it, and a damaged page 1 hides
 * all. A page that is no longer in use keeps its old rows. When the pointer map and the
 * free list are both damaged, nothing shows which pages these are, and all of them count: a
 * message that is sent again, under its old key, is better than one that is lost.
 */
#include "queue/salvage/copy.h"
#include "base/disk.h"
#include "base/fault.h"
#include "queue/salvage/reader.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

enum { PROGRESS_PAGES = 256, SPARE_BYTES = 1 << 20 };

struct copy {
    struct pages *pages;
    struct reader *reader;
    struct target *target;
    uint64_t message_pages, message_rows; /* pages with messages, and the messages in them */
    struct salvage_result result;
};

/* ---- the rows of a page ---- */

/* In a page ids grow. Of two neighbours that do not, the wrong one is that without which
 * the others are in order: a message under a wrong id would have the key of another. */
static bool is_in_order(const int64_t *ids, uint32_t count, uint32_t index, int64_t before)
{
    return ids[index] > before &&
           (index + 1 == count || ids[index + 1] > ids[index] || ids[index + 1] <= before);
}

/* Copies the rows that belong to a table. Returns how many. */
static uint32_t copy_rows(struct copy *copy, const uint8_t *page, uint32_t number, enum page_type type,
                          enum table table)
{
    int64_t ids[CELLS_MOST], before = INT64_MIN;
    uint32_t rows = 0, cells = reader_show(copy->reader, page, number, type);
    uint32_t count = table_facts[table].rowid ? reader_ids(copy->reader, ids) : 0;
    for (uint32_t i = 0; i < cells && copy->target->error == 0; i++) {
        if (i < count && !is_in_order(ids, count, i, before))
            continue;
        sqlite3_stmt *row = reader_row(copy->reader, table, i);
        if (!row || !target_insert(copy->target, table, row))
            continue;
        rows++;
        if (i < count)
            before = ids[i];
    }
    if (rows > 0 && type == TABLE_LEAF)
        copy->result.bad_rows += cells - rows;
    if (rows > 0 && table == MESSAGE) {
        copy->message_pages++;
        copy->message_rows += rows;
    }
    return rows;
}

/* All rows of a page belong to one table. */
static uint32_t copy_as(struct copy *copy, const uint8_t *page, uint32_t number, enum page_type type)
{
    uint32_t rows = 0;
    for (int i = 0; i < TABLES && rows == 0 && copy->target->error == 0; i++)
        if (table_facts[i].rowid == (type == TABLE_LEAF))
            rows = copy_rows(copy, page, number, type, (enum table)i);
    return rows;
}

/* Returns false when the page belongs to a tree and cannot be read. */
static bool copy_page(struct copy *copy, uint32_t number)
{
    uint8_t page[PAGE_BYTES];
    uint32_t parent;
    enum page_use use = pages_map(copy->pages, number, &parent);
    bool in_tree = use == USE_TREE || use == USE_ROOT;
    if (!pages_in_use(copy->pages, number))
        return true;
    if (!pages_read(copy->pages, number, page))
        return !in_tree;
    switch (page[0]) {
    case INDEX_LEAF:
    case INDEX_INTERIOR:
        if (copy_as(copy, page, number, page[0]) > 0)
            return true;
        break;
    case TABLE_LEAF:
        return copy_as(copy, page, number, TABLE_LEAF) > 0 || get2(page + 3) == 0 || !in_tree;
    default:
        break;
    }
    /* Perhaps only its first byte is damaged. */
    if (in_tree && copy_as(copy, page, number, TABLE_LEAF) > 0)
        return true;
    return !in_tree || page[0] == INDEX_LEAF || page[0] == INDEX_INTERIOR || page[0] == TABLE_INTERIOR;
}

static void copy_pages(struct copy *copy)
{
    uint32_t bad = copy->pages->in_header == 0, parent; /* page 1 is read for that number */
    for (uint32_t i = 2; i <= copy->pages->count && copy->target->error == 0; i++) {
        bad += !copy_page(copy, i);
        if (i % PROGRESS_PAGES == 0)
            disk_progress();
    }
    for (uint32_t i = copy->pages->count + 1; i <= copy->pages->last; i++) {
        enum page_use use = pages_map(copy->pages, i, &parent);
        bad += use == USE_TREE || use == USE_ROOT;
    }
    copy->result.bad_pages = bad;
    if (copy->message_pages > 0)
        copy->result.about_lost = bad * copy->message_rows / copy->message_pages;
}

/* ---- the whole database ---- */

static int check_room(const struct pages *pages, const char *to)
{
    struct statvfs disk;
    uint64_t in_use = 0;
    for (uint32_t i = 1; i <= pages->count; i++)
        in_use += !pages->is_free[i];
    cleanup_free char *directory = xstrdup(to);
    char *slash = strrchr(directory, '/');
    if (slash)
        slash[1] = '\0';
    if (fault_fails("salvage.room"))
        return -ENOSPC;
    if (statvfs(slash ? directory : ".", &disk) != 0)
        return -errno;
    uint64_t there = (uint64_t)disk.f_bavail * disk.f_frsize;
    return there < in_use * PAGE_BYTES + SPARE_BYTES ? -ENOSPC : 0;
}

int salvage_copy(struct pages *pages, const char *to, struct salvage_result *ret)
{
    struct target target;
    struct copy copy = {.pages = pages, .target = &target};
    int error = check_room(pages, to);
    if (error == 0)
        error = target_open(to, &target);
    if (error != 0)
        return error;
    error = reader_open(pages, target.columns, &copy.reader);
    if (error == 0) {
        copy_pages(&copy);
        error = target.error != 0 ? target.error : target_finish(&target, &copy.result.counts);
    }
    reader_close(copy.reader);
    int closed = target_close(&target, error == 0 ? to : NULL);
    error = error != 0 ? error : closed;
    if (error == 0)
        *ret = copy.result;
    return error;
}
