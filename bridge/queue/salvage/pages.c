/* queue/salvage/pages.c - the pages of a file and its write-ahead log, and what the
 * file says of each.
 *
 * Which pages are in use is said three times: by the trees, which
 * queue/salvage/copy.c follows; by the pointer map, which an auto_vacuum database
 * has (section 1.8); and by the free list (section 1.5). Any of them may be damaged.
 */
#include "queue/salvage/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DEFAULT_BYTES = 4096, /* of a page, as SQLite makes them */
    PENDING_BYTE = 1 << 30,
    SAMPLE_PAGES = 256,
    TOLD_MOST = 1 << 20, /* more pages than there are */
};

static const char magic[16] = "SQLite format 3";

/* ---- reading ---- */

bool pages_read_file(const struct pages *pages, uint32_t number, uint8_t *page)
{
    if (number == 0 || number > pages->in_file)
        return false;
    return salvage_read(pages->fd, (uint64_t)(number - 1) * pages->bytes, page, pages->bytes) == pages->bytes;
}

bool pages_read(const struct pages *pages, uint32_t number, uint8_t *page)
{
    if (number == 0 || number > pages->count)
        return false;
    uint32_t frame = pages->frames ? pages->frames[number] : 0;
    if (frame == 0)
        return pages_read_file(pages, number, page);
    return salvage_read(pages->wal_fd, wal_offset(&pages->wal, frame - 1), page, pages->bytes) ==
           pages->bytes;
}

/* ---- the size of a page ---- */

static bool looks_like_node(const uint8_t *page, uint32_t bytes)
{
    struct node node;
    struct cell cell;
    return node_open(page, bytes, 2, 0, &node) && node.cells > 0 && node_cell(&node, 0, &cell) &&
           node_cell(&node, node.cells - 1, &cell);
}

/* How many bytes of the file's beginning make sense in pages of this size. */
static uint64_t sense(int fd, uint32_t bytes)
{
    uint64_t score = 0;
    cleanup_free uint8_t *page = xcalloc(1, bytes);
    for (uint32_t i = 1; i < SAMPLE_PAGES; i++)
        if (salvage_read(fd, (uint64_t)i * bytes, page, bytes) == bytes && looks_like_node(page, bytes))
            score += bytes;
    return score;
}

static uint32_t size_of_page(int fd, const uint8_t header[static 100], uint32_t of_wal)
{
    uint32_t told = get2(header + 16) == 1 ? 65536 : get2(header + 16);
    uint32_t sizes[] = {of_wal, DEFAULT_BYTES, told};
    uint32_t best = DEFAULT_BYTES;
    uint64_t best_sense = 0;
    if (memcmp(header, magic, sizeof magic) == 0 && told == DEFAULT_BYTES)
        return told;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        uint64_t found = is_page_size(sizes[i]) ? sense(fd, sizes[i]) : 0;
        if (found > best_sense) {
            best = sizes[i];
            best_sense = found;
        }
    }
    return best;
}

/* ---- opening ---- */

/* -1 in *ret_fd where there is no file. */
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
static void read_free_list(struct pages *pages, uint32_t trunk, uint32_t told)
{
    uint32_t found = 0, trunks = 0;
    cleanup_free uint8_t *page = xcalloc(1, pages->bytes);
    while (trunk != 0 && trunks++ <= pages->count && pages_read(pages, trunk, page)) {
        uint32_t leaves = get4(page + 4);
        if (pages->is_free[trunk] || leaves > pages->bytes / 4 - 2)
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
    pages->free_list_sound = trunk == 0 && found == told;
}

static void read_first_page(struct pages *pages)
{
    cleanup_free uint8_t *page = xcalloc(1, pages->bytes);
    if (!pages_read(pages, 1, page) || memcmp(page, magic, sizeof magic) != 0)
        return;
    uint32_t told = get4(page + 28);
    if (told > pages->count + TOLD_MOST)
        return;
    pages->told = told;
    if (told > pages->last)
        pages->last = told;
    read_free_list(pages, get4(page + 32), get4(page + 36));
}

static uint32_t map_every(const struct pages *pages)
{
    return pages->bytes / 5 + 1; /* a map page, and those that it maps */
}

/* Of several copies of a page the newest counts. */
static void lay_over(struct pages *pages, uint32_t count)
{
    const struct wal *wal = &pages->wal;
    for (uint32_t i = 0; i < count; i++)
        if (wal->pages[i] > pages->count && wal->pages[i] <= pages->in_file + wal->frames)
            pages->count = wal->pages[i];
    pages->frames = xcalloc((size_t)pages->count + 1, sizeof *pages->frames);
    for (uint32_t i = 0; i < count; i++)
        if (wal->pages[i] != 0 && wal->pages[i] <= pages->count)
            pages->frames[wal->pages[i]] = i + 1;
}

void pages_take_frames(struct pages *pages, uint32_t count)
{
    free(pages->frames);
    free(pages->is_free);
    pages->count = pages->in_file;
    pages->told = pages->map_number = 0;
    pages->free_list_sound = false;
    lay_over(pages, pages->wal.page_bytes == pages->bytes ? count : 0);
    pages->last = pages->count;
    pages->is_free = xcalloc((size_t)pages->count + 1, 1);
    read_first_page(pages);
}

int pages_open(const char *path, struct pages *ret)
{
    struct pages pages = {.fd = -1, .wal_fd = -1};
    struct stat status = {0};
    uint8_t header[100];
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
    salvage_read(pages.fd, 0, header, sizeof header);
    pages.bytes = size_of_page(pages.fd, header, pages.wal.page_bytes);
    uint64_t in_file = ((uint64_t)status.st_size + pages.bytes - 1) / pages.bytes;
    pages.in_file = in_file < UINT32_MAX / 8 ? (uint32_t)in_file : UINT32_MAX / 8;
    pages.map = xcalloc(1, pages.bytes);
    pages_take_frames(&pages, pages.wal.prefix);
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
    free(pages->map);
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

/* A map page with one entry that cannot be is not believed in any. */
static bool is_sound_map(const struct pages *pages, uint32_t map, const uint8_t *page)
{
    for (uint32_t i = 0; i < pages->bytes / 5 && map + 1 + i <= pages->last; i++) {
        uint32_t number = map + 1 + i;
        if (pages->told != 0 && number > pages->told)
            break; /* what is there is not used, nor mapped */
        if (number == PENDING_BYTE / pages->bytes + 1)
            continue; /* never used (section 1.3) */
        if (!is_sound_entry(pages, page + 5 * (size_t)i))
            return false;
    }
    return true;
}

enum page_use pages_use(struct pages *pages, uint32_t number, uint32_t *ret_parent)
{
    *ret_parent = 0;
    if (number < 3 || number > pages->last)
        return USE_UNKNOWN;
    uint32_t map = 2 + (number - 2) / map_every(pages) * map_every(pages);
    if (number == map)
        return USE_UNKNOWN;
    if (pages->map_number != map) {
        pages->map_number = map;
        pages->map_sound = pages_read(pages, map, pages->map) && is_sound_map(pages, map, pages->map);
    }
    if (!pages->map_sound)
        return USE_UNKNOWN;
    const uint8_t *entry = pages->map + 5 * (size_t)(number - map - 1);
    if (!is_sound_entry(pages, entry))
        return USE_UNKNOWN;
    *ret_parent = get4(entry + 1);
    return (enum page_use)entry[0];
}
