/* queue/salvage/pages.c - the pages of a file and its write-ahead log, and which of them
 * are in use.
 *
 * Two structures tell which pages are in use: the pointer map, which an auto_vacuum
 * database has (section 1.8), and the free list (section 1.5). Either may be damaged.
 */
#include "queue/salvage/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PENDING_PAGE = (1 << 30) / PAGE_BYTES + 1, /* never used (section 1.3) */
    MAP_ENTRIES = PAGE_BYTES / 5,              /* pages that a map page describes; they follow it */
    MISSING_MOST = 1 << 20,                    /* pages that may be cut off; more means a damaged header */
    PAGES_MOST = 1 << 29,
};

static const char magic[16] = "SQLite format 3";

/* ---- reading ---- */

bool pages_read_file(const struct pages *pages, uint32_t number, uint8_t *page)
{
    return number != 0 && number <= pages->in_file &&
           salvage_read(pages->fd, (uint64_t)(number - 1) * PAGE_BYTES, page, PAGE_BYTES) == PAGE_BYTES;
}

bool pages_read(const struct pages *pages, uint32_t number, uint8_t *page)
{
    if (number == 0 || number > pages->count)
        return false;
    uint32_t frame = pages->frames[number];
    return frame == 0 ? pages_read_file(pages, number, page) : wal_read(pages->wal_fd, frame - 1, page);
}

/* ---- opening ---- */

/* *ret_fd is -1 where there is no regular file. */
static int open_file(const char *path, int *ret_fd)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* it may be a pipe */
    if (fd < 0 && errno != ENOENT)
        return -errno;
    if (fd >= 0 && (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))) {
        close(fd);
        fd = -1;
    }
    *ret_fd = fd;
    return 0;
}

/* Trunk pages, each with the numbers of free pages (section 1.5). */
static void read_free_list(struct pages *pages, uint32_t trunk, uint32_t expected)
{
    uint32_t found = 0, trunks = 0;
    uint8_t page[PAGE_BYTES];
    while (trunk != 0 && trunks++ <= pages->count && pages_read(pages, trunk, page)) {
        uint32_t leaves = get4(page + 4);
        if (pages->is_free[trunk] || leaves > PAGE_BYTES / 4 - 2)
            return;
        pages->is_free[trunk] = 1;
        found++;
        for (uint32_t i = 0; i < leaves; i++) {
            uint32_t leaf = get4(page + 8 + 4 * (size_t)i);
            if (leaf == 0 || leaf > pages->count)
                return;
            found += !pages->is_free[leaf];
            pages->is_free[leaf] = 1;
        }
        trunk = get4(page);
    }
    pages->free_list_sound = trunk == 0 && found == expected;
}

/* size: as the log has it, or 0. Page 1 is stale when its size is another: the frame that
 * holds the newer one is damaged. */
static void read_first_page(struct pages *pages, uint32_t size)
{
    uint8_t page[PAGE_BYTES];
    if (!pages_read(pages, 1, page) || memcmp(page, magic, sizeof magic) != 0)
        return;
    uint32_t in_header = get4(page + 28);
    if (size != 0 ? in_header != size : in_header > pages->count + MISSING_MOST)
        return;
    pages->in_header = in_header;
    if (in_header > pages->last)
        pages->last = in_header;
    read_free_list(pages, get4(page + 32), get4(page + 36));
}

void pages_use_frames(struct pages *pages, uint32_t count)
{
    const struct wal *wal = &pages->wal;
    uint32_t size = 0;
    free(pages->frames);
    free(pages->is_free);
    pages->count = pages->in_file;
    pages->in_header = pages->map_number = 0;
    pages->free_list_sound = false;
    for (uint32_t i = 0; i < count; i++) {
        if (wal->pages[i] > pages->count && wal->pages[i] <= pages->in_file + wal->frames)
            pages->count = wal->pages[i];
        if (wal->sizes[i] != 0)
            size = wal->sizes[i];
    }
    pages->frames = xcalloc((size_t)pages->count + 1, sizeof *pages->frames);
    for (uint32_t i = 0; i < count; i++) /* a later frame replaces an earlier one */
        if (wal->pages[i] != 0 && wal->pages[i] <= pages->count)
            pages->frames[wal->pages[i]] = i + 1;
    pages->last = pages->count;
    pages->is_free = xcalloc((size_t)pages->count + 1, 1);
    read_first_page(pages, size);
}

int pages_open(const char *path, struct pages *ret)
{
    struct pages pages = {.fd = -1, .wal_fd = -1};
    struct stat status = {0};
    cleanup_free char *wal_path = xasprintf("%s-wal", path);
    int error = open_file(path, &pages.fd);
    if (error == 0)
        error = open_file(wal_path, &pages.wal_fd);
    if (error == 0 && pages.fd >= 0 && fstat(pages.fd, &status) != 0)
        error = -errno;
    if (error != 0) {
        pages_close(&pages);
        return error;
    }
    wal_scan(pages.wal_fd, &pages.wal);
    uint64_t in_file = ((uint64_t)status.st_size + PAGE_BYTES - 1) / PAGE_BYTES;
    pages.in_file = in_file < PAGES_MOST ? (uint32_t)in_file : PAGES_MOST;
    pages_use_frames(&pages, pages.wal.prefix);
    *ret = pages;
    return 0;
}

void pages_close(struct pages *pages)
{
    if (pages->fd >= 0)
        close(pages->fd);
    if (pages->wal_fd >= 0)
        close(pages->wal_fd);
    wal_done(&pages->wal);
    free(pages->frames);
    free(pages->is_free);
    *pages = (struct pages){.fd = -1, .wal_fd = -1};
}

/* ---- the pointer map ---- */

static bool is_sound_entry(const struct pages *pages, const uint8_t *entry)
{
    uint32_t parent = get4(entry + 1);
    switch (entry[0]) {
    case USE_ROOT:
    case USE_FREE:
        return parent == 0;
    case USE_OVERFLOW_FIRST:
    case USE_OVERFLOW_NEXT:
    case USE_TREE:
        return parent >= 1 && parent <= pages->last;
    default:
        return false;
    }
}

/* One impossible entry makes a whole map page unreliable. */
static bool is_sound_map(const struct pages *pages, uint32_t map, const uint8_t *page)
{
    uint32_t end = pages->in_header != 0 ? pages->in_header : pages->last;
    for (uint32_t i = 0; i < MAP_ENTRIES && map + 1 + i <= end; i++)
        if (map + 1 + i != PENDING_PAGE && !is_sound_entry(pages, page + 5 * (size_t)i))
            return false;
    return true;
}

enum page_use pages_map(struct pages *pages, uint32_t number, uint32_t *ret_parent)
{
    *ret_parent = 0;
    if (number < 3 || number > pages->last)
        return USE_UNKNOWN;
    uint32_t map = 2 + (number - 2) / (MAP_ENTRIES + 1) * (MAP_ENTRIES + 1);
    if (number == map)
        return USE_UNKNOWN;
    if (pages->map_number != map) {
        pages->map_number = map;
        pages->map_sound = pages_read(pages, map, pages->map) && is_sound_map(pages, map, pages->map);
    }
    const uint8_t *entry = pages->map + 5 * (size_t)(number - map - 1);
    if (!pages->map_sound || !is_sound_entry(pages, entry))
        return USE_UNKNOWN;
    *ret_parent = get4(entry + 1);
    return (enum page_use)entry[0];
}

bool pages_in_use(struct pages *pages, uint32_t number)
{
    uint32_t parent;
    bool listed = pages->free_list_sound && pages->is_free[number];
    if (pages->free_list_sound && pages->in_header != 0 && number > pages->in_header)
        return false; /* SQLite gave it back, but the file was not shortened yet */
    switch (pages_map(pages, number, &parent)) {
    case USE_ROOT:
    case USE_TREE:
        return true;
    case USE_FREE: /* map and list contradict each other when it is not listed */
        return pages->free_list_sound && !listed;
    case USE_OVERFLOW_FIRST:
    case USE_OVERFLOW_NEXT:
        return false;
    default:
        return !listed;
    }
}
