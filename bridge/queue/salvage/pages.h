/* queue/salvage/pages.h - the pages of a file and its write-ahead log, and which of them
 * are in use. */
#ifndef SLUICE_QUEUE_SALVAGE_PAGES_H
#define SLUICE_QUEUE_SALVAGE_PAGES_H

#include "queue/salvage/internal.h"
#include "queue/salvage/wal.h"

struct pages {
    int fd, wal_fd; /* -1: there is no such file */
    struct wal wal;
    uint32_t in_file;   /* pages in the file */
    uint32_t count;     /* pages in the file and in the log; numbered from 1 */
    uint32_t in_header; /* the number of pages that page 1 gives; 0: unknown */
    uint32_t last;      /* the larger of count and in_header: the file may have been cut off */
    uint32_t *frames;   /* by page: 1 + the frame that holds it; 0: it is in the file */
    uint8_t *is_free;   /* by page: it is on the free list */
    bool free_list_sound;
    uint8_t map[PAGE_BYTES]; /* the pointer map page that was read last */
    uint32_t map_number;
    bool map_sound;
};

/* What the pointer map knows of a page (section 1.8). */
enum page_use {
    USE_UNKNOWN = 0,
    USE_ROOT = 1,
    USE_FREE = 2,
    USE_OVERFLOW_FIRST = 3,
    USE_OVERFLOW_NEXT = 4,
    USE_TREE = 5,
};

/* path names a database; neither it nor its log need exist. Returns 0 or -Exxx. */
int pages_open(const char *path, struct pages *ret);
void pages_close(struct pages *pages);
/* False when there is no such page, or when it cannot be read. */
bool pages_read(const struct pages *pages, uint32_t number, uint8_t *page);
/* The same, without the write-ahead log. */
bool pages_read_file(const struct pages *pages, uint32_t number, uint8_t *page);
/* After pages_open() the frames count that SQLite would use. Now the first `count` do. */
void pages_use_frames(struct pages *pages, uint32_t count);
/* The parent is 0 where the map knows none. */
enum page_use pages_map(struct pages *pages, uint32_t number, uint32_t *ret_parent);
/* Whether a page may hold rows that were not deleted. */
bool pages_in_use(struct pages *pages, uint32_t number);

#endif
