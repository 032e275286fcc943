/* queue/salvage/copy.c - from all pages that count into a new database.
 *
 * First the trees are followed from their roots: what they reach is in use, and
 * comes in the order of ids. Then every other page that looks like one of a tree
 * is looked at: a damaged interior page hides those below it, a damaged page 1 all
 * of them. These count unless the pointer map or the free list tells that they are
 * free, for a page that was given back keeps its old content. Where both of them
 * are damaged too, such a page counts: a message that comes again under its old
 * key is better than one that is lost.
 *
 * What a page's array of cells does not point to was deleted, and is not looked at;
 * nor are the pages of a long payload, or a device could send us records.
 */
#include "base/fault.h"
#include "queue/salvage/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

enum {
    DEPTH_MOST = 20, /* of a tree, as SQLite has it */
    ROOTS_MOST = 64,
    PROGRESS_PAGES = 256,
    SPARE_BYTES = 1 << 20,
    TOKENS_MOST = 4096,
};

struct token {
    int64_t run;
    char text[TOKEN_BYTES];
};

enum seen { UNSEEN = 0, TAKEN, OVERFLOW, BAD };

struct copy {
    struct pages *pages;
    struct target *target;
    uint8_t *seen; /* by page number */
    uint32_t roots[ROOTS_MOST];
    unsigned root_count;
    uint8_t *record; /* one that is not in one page */
    size_t record_capacity;
    uint64_t message_pages, message_rows; /* pages with messages, and how many those held */
    struct token tokens[TOKENS_MOST];     /* as an index knows them */
    unsigned token_count;
    uint32_t looked_at;
    salvage_progress_fn *progress;
    void *context;
    struct salvage_result result;
};

/* ---- records ---- */

static bool grow_record(struct copy *copy, uint64_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return false;
    if (bytes <= copy->record_capacity)
        return true;
    uint8_t *larger = realloc(copy->record, (size_t)bytes);
    if (!larger)
        return false;
    copy->record = larger;
    copy->record_capacity = (size_t)bytes;
    return true;
}

/* The pointer map knows for each overflow page which one comes before it. One of
 * type and predecessor must be right: a wrong page would end in a payload. */
static bool is_next_overflow(struct copy *copy, uint32_t number, uint32_t before, bool first)
{
    uint32_t parent;
    enum page_use use = pages_use(copy->pages, number, &parent);
    return use == USE_UNKNOWN || parent == before || use == (first ? USE_OVERFLOW_FIRST : USE_OVERFLOW_NEXT);
}

/* Reads a record of which a part is in overflow pages (section 1.7). */
static bool read_overflow(struct copy *copy, uint32_t number, const struct cell *cell)
{
    uint32_t page_bytes = copy->pages->bytes, room = page_bytes - 4;
    uint64_t most = (uint64_t)copy->pages->count * room;
    if (cell->bytes > most || !grow_record(copy, cell->bytes))
        return false;
    memcpy(copy->record, cell->local, cell->local_bytes);
    cleanup_free uint8_t *page = xcalloc(1, page_bytes);
    uint32_t before = number, next = cell->overflow;
    for (uint64_t at = cell->local_bytes; at < cell->bytes;) {
        if (!is_next_overflow(copy, next, before, before == number) || !pages_read(copy->pages, next, page))
            return false;
        size_t bytes = cell->bytes - at < room ? (size_t)(cell->bytes - at) : room;
        memcpy(copy->record + at, page + 4, bytes);
        at += bytes;
        if (copy->seen[next] == UNSEEN)
            copy->seen[next] = OVERFLOW;
        before = next;
        next = get4(page);
    }
    return next == 0;
}

static bool read_record(struct copy *copy, uint32_t number, const struct cell *cell, struct record *ret)
{
    if (cell->overflow == 0)
        return record_parse(cell->local, cell->bytes, cell->bytes, ret);
    /* Its shape first: what is none of ours must not lead us through the file. */
    return record_parse(cell->local, cell->local_bytes, cell->bytes, ret) &&
           read_overflow(copy, number, cell) && record_parse(copy->record, cell->bytes, cell->bytes, ret);
}

/* ---- nodes ---- */

/* A row of sqlite_schema: "tttIT", whose fourth column is a root. */
static bool note_root(struct copy *copy, const struct record *record)
{
    if (!record_fits(record, "tttIT", 5))
        return false;
    int64_t root = record->values[3].integer;
    if (root > 1 && root <= copy->pages->count && copy->root_count < ROOTS_MOST)
        copy->roots[copy->root_count++] = (uint32_t)root;
    return true;
}

/* The index of run.token: should its table be lost, the keys are not. */
static void note_token(struct copy *copy, const struct record *record)
{
    if (!record_fits(record, "ti", 2) || record->values[0].bytes != TOKEN_BYTES ||
        copy->token_count == TOKENS_MOST)
        return;
    struct token *token = &copy->tokens[copy->token_count++];
    token->run = record->values[1].integer;
    memcpy(token->text, record->values[0].data, TOKEN_BYTES);
}

struct taking {
    struct copy *copy;
    const struct node *node;
    uint32_t number;
    int64_t last_rowid; /* in a page they grow */
    uint32_t messages, rows, bad;
};

/* In a page ids grow. Of two neighbours that do not, the one is wrong without which
 * the others are in order. */
static bool is_in_order(const struct taking *taking, uint32_t index, int64_t rowid)
{
    struct cell next;
    if (rowid <= taking->last_rowid)
        return false;
    return index + 1 == taking->node->cells || !node_cell(taking->node, index + 1, &next) ||
           next.rowid > rowid || next.rowid <= taking->last_rowid;
}

static void take_cell(struct taking *taking, uint32_t index)
{
    struct copy *copy = taking->copy;
    struct cell cell;
    struct record record;
    bool rowid = taking->node->type == TABLE_LEAF;
    if (!node_cell(taking->node, index, &cell) || (rowid && !is_in_order(taking, index, cell.rowid)) ||
        !read_record(copy, taking->number, &cell, &record)) {
        taking->bad++;
        return;
    }
    int table = target_table(copy->target, &record, rowid);
    if (table < 0 && !rowid)
        note_token(copy, &record);
    bool good = table >= 0 ? target_insert(copy->target, table, cell.rowid, &record)
                           : rowid && note_root(copy, &record);
    if (rowid && !good)
        taking->bad++; /* in an index there are records that we do not need */
    if (!good)
        return;
    taking->rows++;
    if (rowid)
        taking->last_rowid = cell.rowid;
    if (table == MESSAGE)
        taking->messages++;
}

/* The records of a page. Returns how many were taken. */
static uint32_t take_rows(struct copy *copy, uint32_t number, const struct node *node)
{
    struct taking taking = {.copy = copy, .node = node, .number = number};
    for (uint32_t i = 0; i < node->cells && copy->target->error == 0; i++)
        take_cell(&taking, i);
    copy->message_pages += taking.messages > 0;
    copy->message_rows += taking.messages;
    if (taking.rows > 0) /* otherwise it is a bad page */
        copy->result.bad_rows += taking.bad;
    return taking.rows;
}

static void tell_progress(struct copy *copy)
{
    if (copy->progress && ++copy->looked_at % PROGRESS_PAGES == 0)
        copy->progress(copy->context);
}

/* Whether the pointer map lets a page be this one's child. */
static bool may_be_child(struct copy *copy, uint32_t number, uint32_t parent)
{
    uint32_t told;
    enum page_use use = pages_use(copy->pages, number, &told);
    return use == USE_UNKNOWN || use == USE_TREE || told == parent;
}

static void walk(struct copy *copy, uint32_t number, unsigned depth);

static void walk_child(struct copy *copy, uint32_t number, uint32_t parent, unsigned depth)
{
    if (number == 0 || number > copy->pages->count || copy->target->error != 0)
        return;
    if (copy->seen[number] == UNSEEN && may_be_child(copy, number, parent))
        walk(copy, number, depth + 1);
}

/* Whether a page that says it is interior has a child that may be its: otherwise
 * its first byte is what is damaged. */
static bool leads_on(struct copy *copy, const struct node *node, uint32_t number)
{
    uint32_t told;
    for (uint32_t i = 0; i <= node->cells; i++) {
        struct cell cell = {.child = node->right};
        if (i < node->cells && !node_cell(node, i, &cell))
            continue;
        if (cell.child < 2 || cell.child > copy->pages->last)
            continue;
        enum page_use use = pages_use(copy->pages, cell.child, &told);
        if (told == number || (use == USE_UNKNOWN && cell.child <= copy->pages->count))
            return true;
    }
    return false;
}

/* Takes a page of a tree and all below it, in their order. What is no such page
 * stays unseen. */
static void walk(struct copy *copy, uint32_t number, unsigned depth)
{
    struct node node;
    cleanup_free uint8_t *page = xcalloc(1, copy->pages->bytes);
    if (depth > DEPTH_MOST || !pages_read(copy->pages, number, page) ||
        !node_open(page, copy->pages->bytes, number, 0, &node))
        return;
    tell_progress(copy);
    bool interior = node.type == TABLE_INTERIOR || node.type == INDEX_INTERIOR;
    if (interior && !leads_on(copy, &node, number))
        return;
    copy->seen[number] = TAKEN;
    if (interior) {
        for (uint32_t i = 0; i < node.cells; i++) {
            struct cell cell;
            if (node_cell(&node, i, &cell))
                walk_child(copy, cell.child, number, depth);
        }
        walk_child(copy, node.right, number, depth);
    }
    if (node.type != TABLE_INTERIOR && take_rows(copy, number, &node) == 0 && node.cells > 0 &&
        node.type == TABLE_LEAF)
        copy->seen[number] = BAD;
}

static void follow_trees(struct copy *copy)
{
    uint32_t parent;
    walk(copy, 1, 0); /* sqlite_schema, which names the roots */
    for (uint32_t i = 3; i <= copy->pages->count && i < 3 + ROOTS_MOST; i++)
        if (pages_use(copy->pages, i, &parent) == USE_ROOT && copy->root_count < ROOTS_MOST)
            copy->roots[copy->root_count++] = i;
    for (unsigned i = 0; i < copy->root_count; i++)
        if (copy->seen[copy->roots[i]] == UNSEEN)
            walk(copy, copy->roots[i], 0);
}

/* ---- the other pages ---- */

/* No tree led to it: whether its records count. */
static bool is_in_use(struct copy *copy, uint32_t number, enum page_use use)
{
    const struct pages *pages = copy->pages;
    if (pages->told != 0 && number > pages->told && pages->free_list_sound)
        return false; /* cut off, but still in the file */
    switch (use) {
    case USE_ROOT:
    case USE_TREE:
        return true;
    case USE_FREE:
        return pages->free_list_sound && !pages->is_free[number]; /* they contradict each other */
    case USE_OVERFLOW_FIRST:
    case USE_OVERFLOW_NEXT:
        return false;
    default:
        return !pages->is_free[number];
    }
}

static void look_at(struct copy *copy, uint32_t number)
{
    struct node node;
    uint32_t parent;
    enum page_use use = pages_use(copy->pages, number, &parent);
    bool tree = use == USE_ROOT || use == USE_TREE || number == 1;
    tell_progress(copy);
    if (copy->seen[number] != UNSEEN || !is_in_use(copy, number, use))
        return;
    cleanup_free uint8_t *page = xcalloc(1, copy->pages->bytes);
    bool there = pages_read(copy->pages, number, page);
    if (there && node_open(page, copy->pages->bytes, number, 0, &node)) {
        bool interior = node.type == TABLE_INTERIOR || node.type == INDEX_INTERIOR;
        bool sound = !interior || leads_on(copy, &node, number); /* children have their turn */
        uint32_t rows = sound && node.type != TABLE_INTERIOR ? take_rows(copy, number, &node) : 0;
        if (sound && (rows > 0 || node.cells == 0 || node.type != TABLE_LEAF))
            return;
    }
    /* Its first byte may be what is damaged. */
    if (there && tree && node_open(page, copy->pages->bytes, number, TABLE_LEAF, &node) &&
        take_rows(copy, number, &node) > 0)
        return;
    if (tree)
        copy->seen[number] = BAD;
}

static void look_at_others(struct copy *copy)
{
    for (uint32_t i = 1; i <= copy->pages->count && copy->target->error == 0; i++)
        look_at(copy, i);
    uint32_t bad = 0, parent;
    for (uint32_t i = 1; i <= copy->pages->count; i++)
        bad += copy->seen[i] == BAD;
    for (uint32_t i = copy->pages->count + 1; i <= copy->pages->last; i++) {
        enum page_use use = pages_use(copy->pages, i, &parent);
        bad += use == USE_TREE || use == USE_ROOT;
    }
    copy->result.bad_pages = bad;
    if (copy->message_pages > 0)
        copy->result.about_lost = bad * copy->message_rows / copy->message_pages;
}

/* Runs of which only the index knows, once all of the table is in. */
static void use_tokens(struct copy *copy)
{
    for (unsigned i = 0; i < copy->token_count && copy->target->error == 0; i++) {
        const struct token *token = &copy->tokens[i];
        struct record run = {
            .columns = 5,
            .values = {{.type = SQLITE_NULL},
                       {.type = SQLITE_TEXT, .data = (const uint8_t *)token->text, .bytes = TOKEN_BYTES},
                       {.type = SQLITE_TEXT, .data = (const uint8_t *)"lost", .bytes = 4},
                       {.type = SQLITE_INTEGER},
                       {.type = SQLITE_INTEGER}}};
        target_insert(copy->target, RUN, token->run, &run);
    }
}

/* ---- the whole ---- */

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
    return there < in_use * pages->bytes + SPARE_BYTES ? -ENOSPC : 0;
}

int salvage_copy(struct pages *pages, const char *to, salvage_progress_fn *progress, void *context,
                 struct salvage_result *ret)
{
    struct target target;
    int error = check_room(pages, to);
    if (error == 0)
        error = target_open(to, &target);
    if (error != 0)
        return error;
    struct copy *copy = xcalloc(1, sizeof *copy);
    *copy = (struct copy){.pages = pages, .target = &target, .progress = progress, .context = context};
    copy->seen = xcalloc((size_t)pages->count + 1, 1);
    follow_trees(copy);
    if (target.error == 0)
        look_at_others(copy);
    if (target.error == 0)
        use_tokens(copy);
    error = target.error != 0 ? target.error : target_finish(&target, &copy->result);
    int closed = target_close(&target, error == 0 ? to : NULL);
    error = error != 0 ? error : closed;
    if (error == 0)
        *ret = copy->result;
    free(copy->seen);
    free(copy->record);
    free(copy);
    return error;
}
