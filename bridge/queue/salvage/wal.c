/* queue/salvage/wal.c - which frames of a write-ahead log count (section 4).
 *
 * SQLite takes the frames up to the first one whose checksum is wrong. We take what
 * lies behind it too, up to the last commit: see queue/salvage/look.c.
 *
 * Each checksum goes on from the one that is written in the frame before, so a
 * frame can be checked even where its predecessor's page is damaged.
 */
#include "queue/salvage/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEADER_BYTES = 32,
    FRAME_HEADER_BYTES = 24,
    MAGIC = 0x377f0682, /* its lowest bit: checksums are of big-endian words */
    FORMAT = 3007000,
};

size_t salvage_read(int fd, uint64_t offset, uint8_t *data, size_t bytes)
{
    size_t got = 0;
    while (fd >= 0 && got < bytes) {
        ssize_t n = pread(fd, data + got, bytes - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    memset(data + got, 0, bytes - got);
    return got;
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

/* What the frames of this generation have in common. */
struct generation {
    bool big_endian;
    uint32_t salts[2];
    uint32_t sum[2]; /* as written in what comes before the next frame */
};

static bool read_header(const uint8_t header[static HEADER_BYTES], struct wal *wal, struct generation *ret)
{
    uint32_t magic = get4(header);
    struct generation found = {.big_endian = magic & 1, .salts = {get4(header + 16), get4(header + 20)}};
    add_checksum(header, 24, found.big_endian, found.sum);
    wal->page_bytes = get4(header + 8);
    if ((magic & ~UINT32_C(1)) != MAGIC || get4(header + 4) != FORMAT || !is_page_size(wal->page_bytes) ||
        found.sum[0] != get4(header + 24) || found.sum[1] != get4(header + 28))
        return false;
    *ret = found;
    return true;
}

/* Of a damaged header, the first frame knows the salts. SQLite writes in the
 * machine's byte order, and in pages of this size. */
static void guess_header(int fd, const uint8_t header[static HEADER_BYTES], struct wal *wal,
                         struct generation *ret)
{
    uint8_t frame[FRAME_HEADER_BYTES];
    wal->page_bytes = 4096;
    salvage_read(fd, HEADER_BYTES, frame, sizeof frame);
    *ret = (struct generation){
        .big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__,
        .salts = {get4(frame + 8), get4(frame + 12)},
        .sum = {get4(header + 24), get4(header + 28)},
    };
}

static bool check_frame(const uint8_t *frame, uint32_t page_bytes, struct generation *generation)
{
    uint32_t sum[2] = {generation->sum[0], generation->sum[1]};
    add_checksum(frame, 8, generation->big_endian, sum);
    add_checksum(frame + FRAME_HEADER_BYTES, page_bytes, generation->big_endian, sum);
    generation->sum[0] = get4(frame + 16);
    generation->sum[1] = get4(frame + 20);
    return get4(frame) != 0 && get4(frame + 8) == generation->salts[0] &&
           get4(frame + 12) == generation->salts[1] && sum[0] == generation->sum[0] &&
           sum[1] == generation->sum[1];
}

void wal_scan(int fd, struct wal *ret)
{
    struct wal wal = {.page_bytes = 0};
    struct stat status;
    uint8_t header[HEADER_BYTES];
    struct generation generation;
    uint64_t size = fd >= 0 && fstat(fd, &status) == 0 ? (uint64_t)status.st_size : 0;
    if (salvage_read(fd, 0, header, sizeof header) < sizeof header) {
        *ret = wal;
        return;
    }
    bool known = read_header(header, &wal, &generation);
    if (!known)
        guess_header(fd, header, &wal, &generation);

    size_t frame_bytes = FRAME_HEADER_BYTES + wal.page_bytes;
    uint32_t most = (uint32_t)((size - HEADER_BYTES) / frame_bytes);
    cleanup_free uint8_t *frame = xcalloc(1, frame_bytes);
    wal.pages = xcalloc(most + 1, sizeof *wal.pages);
    wal.commits = xcalloc(most + 1, sizeof *wal.commits);
    bool torn = !known; /* SQLite has stopped before */
    for (uint32_t i = 0; i < most; i++) {
        salvage_read(fd, HEADER_BYTES + (uint64_t)i * frame_bytes, frame, frame_bytes);
        bool sound = check_frame(frame, wal.page_bytes, &generation);
        wal.pages[i] = sound ? get4(frame) : 0;
        wal.commits[i] = sound && get4(frame + 4) != 0;
        torn = torn || !sound;
        if (sound)
            wal.frames = i + 1;
        if (wal.commits[i])
            wal.committed = i + 1;
        if (wal.commits[i] && !torn)
            wal.prefix = i + 1;
    }
    *ret = wal;
}

void wal_done(struct wal *wal)
{
    free(wal->pages);
    free(wal->commits);
    *wal = (struct wal){.page_bytes = 0};
}

uint64_t wal_offset(const struct wal *wal, uint32_t frame)
{
    return HEADER_BYTES + (uint64_t)frame * (FRAME_HEADER_BYTES + wal->page_bytes) + FRAME_HEADER_BYTES;
}
