/* queue/reserve.c - see queue/reserve.h.
 *
 * It is written in parts, a second apart, because SD cards are slow; the kernel is asked to
 * write each part at once, so that the sync at the end has little to do. A file of full length
 * was synced, or is of a run that crashed just before that: then, at worst, the reserve is
 * smaller.
 */
#include "queue/reserve.h"
#include "base/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 64 * 1024, STEP_BYTES = 2 * 1024 * 1024 };

struct queue_reserve {
    char *path;
    int fd;        /* while it is written */
    int64_t bytes; /* written so far */
};

struct queue_reserve *queue_reserve_new(const char *queue_path)
{
    struct queue_reserve *reserve = xcalloc(1, sizeof *reserve);
    reserve->path = xasprintf("%s-reserve", queue_path);
    reserve->fd = -1;
    struct stat file;
    bool is_file = lstat(reserve->path, &file) == 0 && S_ISREG(file.st_mode);
    if (is_file && file.st_size == QUEUE_RESERVE_BYTES && file.st_blocks * 512 >= QUEUE_RESERVE_BYTES)
        reserve->bytes = QUEUE_RESERVE_BYTES;
    return reserve;
}

static void close_file(struct queue_reserve *reserve)
{
    if (reserve->fd >= 0)
        close(reserve->fd);
    reserve->fd = -1;
}

void queue_reserve_free(struct queue_reserve *reserve)
{
    if (!reserve)
        return;
    close_file(reserve);
    free(reserve->path);
    free(reserve);
}

bool queue_reserve_is_made(const struct queue_reserve *reserve)
{
    return reserve->bytes == QUEUE_RESERVE_BYTES && reserve->fd < 0;
}

int64_t queue_reserve_lacks(const struct queue_reserve *reserve)
{
    return QUEUE_RESERVE_BYTES - reserve->bytes;
}

/* Xorshift (Marsaglia), which no file system can compress. */
static void fill(uint64_t *words, size_t count, uint64_t seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < count; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        words[i] = x;
    }
}

static int write_piece(struct queue_reserve *reserve)
{
    uint64_t words[PIECE_BYTES / sizeof(uint64_t)];
    fill(words, ARRAY_LEN(words), (uint64_t)reserve->bytes);
    int64_t left = queue_reserve_lacks(reserve);
    size_t bytes = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
    ssize_t written = pwrite(reserve->fd, words, bytes, reserve->bytes);
    if (written <= 0)
        return written < 0 ? -errno : -ENOSPC;
    reserve->bytes += written;
    return 0;
}

static int write_step(struct queue_reserve *reserve)
{
    if (reserve->fd < 0) {
        reserve->bytes = 0;
        unlink(reserve->path); /* whatever it is */
        reserve->fd = open(reserve->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
        if (reserve->fd < 0)
            return -errno;
    }
    if (queue_reserve_lacks(reserve) == 0) {
        if (fdatasync(reserve->fd) != 0)
            return -errno;
        close_file(reserve);
        return 0;
    }
    int64_t start = reserve->bytes;
    while (queue_reserve_lacks(reserve) > 0 && reserve->bytes - start < STEP_BYTES) {
        int error = write_piece(reserve);
        if (error != 0)
            return error;
    }
    sync_file_range(reserve->fd, start, reserve->bytes - start, SYNC_FILE_RANGE_WRITE);
    return 0;
}

int queue_reserve_step(struct queue_reserve *reserve)
{
    if (queue_reserve_is_made(reserve))
        return 0;
    disk_begin();
    int error = write_step(reserve);
    disk_end();
    if (error != 0)
        queue_reserve_remove(reserve);
    return error;
}

bool queue_reserve_remove(struct queue_reserve *reserve)
{
    close_file(reserve);
    reserve->bytes = 0;
    return unlink(reserve->path) == 0;
}
