/* queue/salvage/internal.h - what the files of the salvage share; nobody else
 * includes it.
 *
 *   queue/salvage/salvage.c         names: setting aside, and taking the place
 *   queue/salvage/look.c    what SQLite would pass over
 *   queue/salvage/copy.c    from all pages that count into a new database
 *   queue/salvage/rows.c    the new database: what is a row of which table
 *   queue/salvage/pages.c   the pages of a file and its write-ahead log, and what
 *                           the file says of each
 *   queue/salvage/wal.c     which frames of a write-ahead log count
 *   queue/salvage/record.c  cells and records in a page
 *
 * The format is that of https://www.sqlite.org/fileformat2.html; "section" in a
 * comment means one of it. Nothing that is read is believed: every number is checked
 * before it is used.
 */
#ifndef SLUICE_QUEUE_SALVAGE_PRIVATE_H
#define SLUICE_QUEUE_SALVAGE_PRIVATE_H

#include "base/base.h"
#include "db/db.h"
#include "queue/salvage/salvage.h"
#include <sqlite3.h>
#include <stdbool.h>

static inline uint32_t get2(const uint8_t *at)
{
    return (uint32_t)(at[0] << 8 | at[1]);
}

static inline uint32_t get4(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline bool is_page_size(uint32_t bytes)
{
    return bytes >= 512 && bytes <= 65536 && (bytes & (bytes - 1)) == 0;
}

/* Reads as much of `bytes` as there is; the rest becomes zeros. Returns how much
 * there was; 0 also where the disk cannot read. */
size_t salvage_read(int fd, uint64_t offset, uint8_t *data, size_t bytes);

/* ---- queue/salvage/wal.c ---- */

struct wal {
    uint32_t page_bytes; /* 0: nothing in it counts */
    uint32_t frames;     /* of this generation, whole or not */
    uint32_t *pages;     /* frame n, from 0: the page it holds; 0: it is damaged */
    bool *commits;       /* frame n: it ends a transaction */
    uint32_t prefix;     /* frames that SQLite would take */
    uint32_t committed;  /* frames up to the last commit, damaged ones among them */
};

/* A missing or empty log is a log without frames. */
void wal_scan(int fd, struct wal *ret);
void wal_done(struct wal *wal);
uint64_t wal_offset(const struct wal *wal, uint32_t frame); /* of its page */

/* ---- queue/salvage/pages.c ---- */

struct pages {
    int fd, wal_fd; /* -1: there is none */
    struct wal wal;
    uint32_t bytes; /* of a page */
    uint32_t count; /* pages are numbered from 1 */
    uint32_t in_file;
    uint32_t *frames; /* by page number: 1 + the frame that holds it, or 0: it is in the file */
    uint32_t told;    /* how many pages there are, as page 1 says; 0: it does not */
    uint32_t last;    /* the larger of both: the file may have been cut off */
    uint8_t *map;     /* the pointer map page that was read last */
    uint32_t map_number;
    bool map_sound;
    uint8_t *is_free; /* by page number: it is on the free list */
    bool free_list_sound;
};

/* What the pointer map says of a page (section 1.8). */
enum page_use {
    USE_UNKNOWN = 0,
    USE_ROOT = 1,
    USE_FREE = 2,
    USE_OVERFLOW_FIRST = 3,
    USE_OVERFLOW_NEXT = 4,
    USE_TREE = 5,
};

/* path names a database, which may be missing. */
int pages_open(const char *path, struct pages *ret);
void pages_close(struct pages *pages);
/* False when it is not there or cannot be read. */
bool pages_read(const struct pages *pages, uint32_t number, uint8_t *page);
/* The same, as if there were no write-ahead log. */
bool pages_read_file(const struct pages *pages, uint32_t number, uint8_t *page);
/* At first the frames of the log count that SQLite would take. From now on: so many,
 * or none. */
void pages_take_frames(struct pages *pages, uint32_t count);
enum page_use pages_use(struct pages *pages, uint32_t number, uint32_t *ret_parent);

/* ---- queue/salvage/record.c ---- */

enum page_type { INDEX_INTERIOR = 0x02, TABLE_INTERIOR = 0x05, INDEX_LEAF = 0x0a, TABLE_LEAF = 0x0d };

/* A page of a b-tree (section 1.6). */
struct node {
    const uint8_t *page;
    uint32_t bytes;
    enum page_type type;
    uint32_t cells;
    uint32_t pointers; /* where the array of cell pointers begins */
    uint32_t right;    /* interior: the last child */
};

/* False when it is none. `as` is the type to take it for, or 0: what it says. */
bool node_open(const uint8_t *page, uint32_t bytes, uint32_t number, enum page_type as, struct node *ret);

struct cell {
    uint32_t child; /* interior */
    int64_t rowid;  /* table */
    uint64_t bytes; /* of its record; 0: it has none */
    const uint8_t *local;
    uint32_t local_bytes;
    uint32_t overflow; /* first page of the rest, or 0: all of it is local */
};

bool node_cell(const struct node *node, uint32_t index, struct cell *ret);

enum { RECORD_COLUMNS = 32 };

/* A value (section 2.1). Pointers go into the record. */
struct value {
    int type; /* SQLITE_NULL, _INTEGER, _FLOAT, _TEXT or _BLOB */
    int64_t integer;
    const uint8_t *data;
    uint64_t bytes;
};

struct record {
    uint32_t columns;
    struct value values[RECORD_COLUMNS];
};

/* `there` may be less than `bytes`, the whole: then values that lie beyond have
 * their type and length and no data. */
bool record_parse(const uint8_t *data, uint64_t there, uint64_t bytes, struct record *ret);

/* Whether a record has these columns, or the first of them, `least` or more: for each
 * a letter, i, t or b, in capitals where NULL is allowed; k for the id, which is not
 * in the record. */
bool record_fits(const struct record *record, const char *types, uint32_t least);

/* ---- queue/salvage/copy.c ---- */

struct salvage_result {
    uint64_t messages, dead_letters;
    uint64_t rekeyed; /* messages and dead letters whose run is lost: they have a new key */
    uint64_t bad_rows, bad_pages;
    uint64_t about_lost; /* messages on bad pages, going by the good ones */
    bool wal_ignored;    /* it belongs to another database */
};

/* Copies all that counts into a new database at to, which is complete and synced on
 * return. */
int salvage_copy(struct pages *pages, const char *to, salvage_progress_fn *progress, void *context,
                 struct salvage_result *ret);

/* ---- queue/salvage/rows.c ---- */

enum { TOKEN_BYTES = 16 }; /* of a run, in hexadecimal */

enum { MESSAGE, DEAD_LETTER, RUN, SUBSCRIPTION, DROPPED, PROBLEM, DEVICE, TABLES };

/* A table as its records have it: columns in the order in which they are stored. */
struct shape {
    char types[RECORD_COLUMNS + 1]; /* see record_fits */
    char *names[RECORD_COLUMNS];
    uint32_t columns;
    sqlite3_stmt *insert;
    uint32_t insert_columns; /* for which it was prepared */
};

/* The new database. */
struct target {
    struct db db;
    struct shape shapes[TABLES];
    int error; /* it cannot be written: all ends */
    uint64_t rekeyed;
};

int target_open(const char *path, struct target *ret);
/* keep: its path, to commit and sync it; NULL: it is for the caller to remove. */
int target_close(struct target *target, const char *keep);
/* The table of a record, or -1. */
int target_table(const struct target *target, const struct record *record, bool rowid);
/* False when it does not belong there. */
bool target_insert(struct target *target, int table, int64_t rowid, const struct record *record);
/* After the last row. */
int target_finish(struct target *target, struct salvage_result *ret);

/* ---- queue/salvage/look.c ---- */

enum log_state {
    LOG_SOUND,   /* or there is none */
    LOG_DAMAGED, /* messages that were acknowledged lie where SQLite does not look */
    LOG_FOREIGN, /* it has other runs under the same numbers */
    LOG_ALONE,   /* its database is missing or empty */
};
enum log_state salvage_judge_log(const char *path, struct pages *pages);

#endif
