/* base/disk.c - see base/disk.h. */
#include "base/disk.h"
#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

static atomic_ullong steps, progress;

/* There is one writer, so that an addition need not be one atomic operation. */
static void count(atomic_ullong *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

void disk_begin(void)
{
    count(&steps);
}

void disk_end(void)
{
    count(&steps);
}

void disk_progress(void)
{
    count(&progress);
}

int disk_sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    disk_begin();
    int error = fault_fails("disk.sync") ? -EIO : fsync(fd) == 0 ? 0 : -errno;
    disk_end();
    close(fd);
    return error;
}

struct disk_signs disk_signs(void)
{
    return (struct disk_signs){.steps = atomic_load_explicit(&steps, memory_order_relaxed),
                               .progress = atomic_load_explicit(&progress, memory_order_relaxed)};
}
