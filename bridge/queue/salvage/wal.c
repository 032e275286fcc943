/* queue/salvage/wal.c - the frames of a write-ahead log (section 4).
 *
 * SQLite uses the frames before the first one whose checksum is wrong. The salvage also
 * uses the later ones, up to the last commit: wal_check.c says when.
 *
 * Each checksum continues the one that is written in the frame before. So a frame can be
 * checked even when the page in the frame before it is damaged.
 */
#include "queue/salvage/wal.h"
#include "base/disk.h"
#include "queue/salvage/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEADER_BYTES = 32,
    FRAME_HEADER_BYTES = 24,
    FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES,
    MAGIC = 0x377f0682, /* its lowest bit: checksums are of big-endian words */
    FORMAT = 3007000,
};

size_t salvage_read(int fd, uint64_t offset, uint8_t *data, size_t bytes)
{
    size_t got = 0;
    while (fd >= 0 && got < bytes) {
        disk_begin();
        ssize_t n = pread(fd, data + got, bytes - got, (off_t)(offset + got));
        disk_end();
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    memset(data + got, 0, bytes - got);
    return got;
}

static uint64_t frame_offset(uint32_t frame)
{
    return HEADER_BYTES + (uint64_t)frame * FRAME_BYTES;
}

bool wal_read(int fd, uint32_t frame, uint8_t *page)
{
    return salvage_read(fd, frame_offset(frame) + FRAME_HEADER_BYTES, page, PAGE_BYTES) == PAGE_BYTES;
}

static uint32_t word(const uint8_t *at, bool big_endian)
{
    return big_endian ? get4(at)
                      : (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static void add_checksum(const uint8_t *data, size_t bytes, bool big_endian, uint32_t sum[static 2])
{
    for (size_t i = 0; i + 8 <= bytes; i += 8) {
        sum[0] += word(data + i, big_endian) + sum[1];
        sum[1] += word(data + i + 4, big_endian) + sum[0];
    }
}

/* What all frames of one generation share. SQLite begins a new generation when it starts
 * to overwrite the log from its beginning. */
struct generation {
    bool big_endian;
    uint32_t salts[2];
    uint32_t sum[2]; /* as written in front of the next frame */
};

static bool read_header(const uint8_t header[static HEADER_BYTES], struct generation *ret)
{
    uint32_t magic = get4(header);
    struct generation found = {.big_endian = magic & 1, .salts = {get4(header + 16), get4(header + 20)}};
    add_checksum(header, 24, found.big_endian, found.sum);
    if ((magic & ~UINT32_C(1)) != MAGIC || get4(header + 4) != FORMAT || get4(header + 8) != PAGE_BYTES ||
        found.sum[0] != get4(header + 24) || found.sum[1] != get4(header + 28))
        return false;
    *ret = found;
    return true;
}

/* The header is damaged, but the first frame repeats the salts, and SQLite writes in the
 * byte order of the machine. */
static struct generation guess_header(int fd, const uint8_t header[static HEADER_BYTES])
{
    uint8_t frame[FRAME_HEADER_BYTES];
    salvage_read(fd, HEADER_BYTES, frame, sizeof frame);
    return (struct generation){
        .big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__,
        .salts = {get4(frame + 8), get4(frame + 12)},
        .sum = {get4(header + 24), get4(header + 28)},
    };
}

static bool check_frame(const uint8_t *frame, struct generation *generation)
{
    uint32_t sum[2] = {generation->sum[0], generation->sum[1]};
    add_checksum(frame, 8, generation->big_endian, sum);
    add_checksum(frame + FRAME_HEADER_BYTES, PAGE_BYTES, generation->big_endian, sum);
    generation->sum[0] = get4(frame + 16);
    generation->sum[1] = get4(frame + 20);
    return get4(frame) != 0 && get4(frame + 8) == generation->salts[0] &&
           get4(frame + 12) == generation->salts[1] && sum[0] == generation->sum[0] &&
           sum[1] == generation->sum[1];
}

void wal_scan(int fd, struct wal *ret)
{
    struct wal wal = {.frames = 0};
    struct stat status;
    uint8_t header[HEADER_BYTES], frame[FRAME_BYTES];
    struct generation generation;
    uint64_t size = fd >= 0 && fstat(fd, &status) == 0 ? (uint64_t)status.st_size : 0;
    if (salvage_read(fd, 0, header, sizeof header) < sizeof header) {
        *ret = wal;
        return;
    }
    bool torn = !read_header(header, &generation); /* where SQLite would have stopped */
    if (torn)
        generation = guess_header(fd, header);
    uint32_t count = (uint32_t)((size - HEADER_BYTES) / FRAME_BYTES);
    wal.pages = xcalloc(count + 1, sizeof *wal.pages);
    wal.sizes = xcalloc(count + 1, sizeof *wal.sizes);
    for (uint32_t i = 0; i < count; i++) {
        salvage_read(fd, frame_offset(i), frame, sizeof frame);
        bool sound = check_frame(frame, &generation);
        torn = torn || !sound;
        if (!sound)
            continue;
        wal.pages[i] = get4(frame);
        wal.sizes[i] = get4(frame + 4);
        wal.frames = i + 1;
        if (wal.sizes[i] != 0)
            wal.committed = i + 1;
        if (wal.sizes[i] != 0 && !torn)
            wal.prefix = i + 1;
    }
    *ret = wal;
}

void wal_done(struct wal *wal)
{
    free(wal->pages);
    free(wal->sizes);
    *wal = (struct wal){.frames = 0};
}
