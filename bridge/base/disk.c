/* base/disk.c - see base/disk.h. */
#include "base/disk.h"
#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
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

/* The file system of the nearest directory that is there: what is missing will be made in it. */
static int find_file_system(const char *path, struct statfs *ret)
{
    cleanup_free char *copy = xstrdup(path);
    char *at = copy;
    while (statfs(at, ret) != 0) {
        if (errno != ENOENT || strcmp(at, "/") == 0 || strcmp(at, ".") == 0)
            return -errno;
        at = dirname(at);
    }
    return 0;
}

const char *disk_volatile(const char *path)
{
    struct statfs found;
    if (find_file_system(path, &found) != 0)
        return NULL;
    switch ((unsigned long)found.f_type) {
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
        return "it is in memory (tmpfs), and a power cut or a restart loses it";
    case OVERLAYFS_SUPER_MAGIC:
        return "it is on an overlay: a restart loses it if the upper layer is in memory, and in a container "
               "it "
               "is deleted with the container";
    default:
        return NULL;
    }
}

/* mountinfo has it for each mount (proc_pid_mountinfo(5)). */
bool disk_device(const char *path, unsigned *ret_major, unsigned *ret_minor)
{
    struct statx found;
    if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &found) != 0 || !(found.stx_mask & STATX_MNT_ID))
        return false;
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t capacity = 0;
    bool is_it = false;
    unsigned long long id;
    while (mounts && !is_it && getline(&line, &capacity, mounts) > 0)
        is_it = sscanf(line, "%llu %*d %u:%u ", &id, ret_major, ret_minor) == 3 && id == found.stx_mnt_id;
    free(line);
    if (mounts)
        fclose(mounts);
    return is_it;
}

struct disk_signs disk_signs(void)
{
    return (struct disk_signs){.steps = atomic_load_explicit(&steps, memory_order_relaxed),
                               .progress = atomic_load_explicit(&progress, memory_order_relaxed)};
}
