/* disk_quota.c - a small disk where none can be mounted: preloaded into a process
 * (LD_PRELOAD), it makes writes fail with ENOSPC.
 *
 * DISK_QUOTA_DIR is a directory, DISK_QUOTA_BYTES what the files in it may hold
 * together. A call that would make a file there grow beyond that fails as on a
 * full disk; what lies within a file's present size may be written. Without
 * either variable nothing is changed.
 *
 * DISK_ERROR_FILE names a file: while it is there, all writes and syncs in the directory fail with
 * the error number in it.
 *
 * Only the system calls' wrappers that SQLite uses. What is in the directory is
 * looked up at each call: another process may put a ballast beside the queue.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static off_t used_bytes(const char *directory)
{
    DIR *dir = opendir(directory);
    if (!dir)
        return 0;
    off_t bytes = 0;
    struct dirent *entry;
    struct stat status;
    while ((entry = readdir(dir)))
        if (fstatat(dirfd(dir), entry->d_name, &status, 0) == 0 && S_ISREG(status.st_mode))
            bytes += status.st_size;
    closedir(dir);
    return bytes;
}

static int is_below(int fd, const char *directory)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = '\0';
    size_t most = strlen(directory);
    return strncmp(path, directory, most) == 0 && path[most] == '/';
}

/* The error with which the disk fails now; 0: it works. */
static int disk_error(int fd)
{
    const char *directory = getenv("DISK_QUOTA_DIR"), *name = getenv("DISK_ERROR_FILE");
    FILE *file = directory && name ? fopen(name, "re") : NULL;
    int number = 0;
    if (file && fscanf(file, "%d", &number) == 1 && !is_below(fd, directory))
        number = 0;
    if (file)
        fclose(file);
    return number;
}

/* How far the file may reach: end, or less when the disk is full. errno is as it was. */
static off_t allowed_end(int fd, off_t end)
{
    int before = errno;
    const char *directory = getenv("DISK_QUOTA_DIR"), *quota = getenv("DISK_QUOTA_BYTES");
    struct stat status;
    if (directory && quota && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && end > status.st_size &&
        is_below(fd, directory)) {
        off_t room = strtoll(quota, NULL, 10) - used_bytes(directory);
        if (room < 0)
            room = 0;
        if (end - status.st_size > room)
            end = status.st_size + room;
    }
    errno = before;
    return end;
}

/* How many of the bytes may be written: as a full disk, less than asked when some
 * fit. */
static ssize_t allowed_bytes(int fd, size_t bytes, off_t offset)
{
    off_t end = allowed_end(fd, offset + (off_t)bytes);
    int before = errno, error = disk_error(fd);
    if (error != 0) {
        errno = error;
        return -1;
    }
    errno = before;
    if (end <= offset && bytes > 0) {
        errno = ENOSPC;
        return -1;
    }
    return (ssize_t)(end - offset);
}

static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

typedef ssize_t pwrite_fn(int fd, const void *data, size_t bytes, off_t offset);
typedef ssize_t write_fn(int fd, const void *data, size_t bytes);
typedef int truncate_fn(int fd, off_t size);
typedef int allocate_fn(int fd, off_t offset, off_t bytes);

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    pwrite_fn *real = (pwrite_fn *)next("pwrite");
    ssize_t allowed = allowed_bytes(fd, bytes, offset);
    return allowed < 0 ? -1 : real(fd, data, (size_t)allowed, offset);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    write_fn *real = (write_fn *)next("write");
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t allowed = offset < 0 ? (ssize_t)bytes : allowed_bytes(fd, bytes, offset);
    return allowed < 0 ? -1 : real(fd, data, (size_t)allowed);
}

int ftruncate(int fd, off_t size)
{
    truncate_fn *real = (truncate_fn *)next("ftruncate");
    if (allowed_end(fd, size) < size) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd, size);
}

int posix_fallocate(int fd, off_t offset, off_t bytes)
{
    allocate_fn *real = (allocate_fn *)next("posix_fallocate");
    return allowed_end(fd, offset + bytes) < offset + bytes ? ENOSPC : real(fd, offset, bytes);
}

int fallocate(int fd, int mode, off_t offset, off_t bytes)
{
    int (*real)(int, int, off_t, off_t) = (int (*)(int, int, off_t, off_t))next("fallocate");
    if (allowed_end(fd, offset + bytes) < offset + bytes) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd, mode, offset, bytes);
}

static int sync_unless_failing(int fd, const char *name)
{
    int error = disk_error(fd);
    if (error != 0) {
        errno = error;
        return -1;
    }
    return ((int (*)(int))next(name))(fd);
}

int fsync(int fd)
{
    return sync_unless_failing(fd, "fsync");
}

int fdatasync(int fd)
{
    return sync_unless_failing(fd, "fdatasync");
}

/* The names for programs that are built with 64-bit file offsets. */
ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset)
{
    return pwrite(fd, data, bytes, offset);
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

int posix_fallocate64(int fd, off64_t offset, off64_t bytes)
{
    return posix_fallocate(fd, offset, bytes);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t bytes)
{
    return fallocate(fd, mode, offset, bytes);
}
