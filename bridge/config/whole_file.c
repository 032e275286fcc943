/* config/whole_file.c - see config/whole_file.h. */
#include "config/whole_file.h"
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

char *whole_file_reason(int error)
{
    /* systemd hides files from its services that everyone else sees. */
    const char *service = getenv("INVOCATION_ID") && geteuid() != 0
                              ? " (sudo sluice check reports what the service cannot see, and why)"
                              : "";
    switch (-error) {
    case ENOENT:
    case ENOTDIR:
        return xasprintf("there is no such file; create it, or correct the path%s", service);
    case EACCES:
    case EPERM:
        return xasprintf("it cannot be read: %s; give the user that sluice runs as the permission%s",
                         strerror(-error), service);
    case EISDIR:
        return xstrdup("this is not a regular file; give the path of a file");
    case EFBIG:
        return xstrdup("the file is too large; check the path");
    default:
        return xasprintf("it cannot be read: %s", strerror(-error));
    }
}

int whole_file_open(const char *path, struct stat *ret_stat)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return -errno;
    struct stat found;
    int error = 0;
    if (fstat(fd, &found) < 0)
        error = -errno;
    else if (!S_ISREG(found.st_mode))
        error = -EISDIR;
    if (error < 0) {
        close(fd);
        return error;
    }
    *ret_stat = found;
    return fd;
}

int whole_file_read(const char *path, size_t most_bytes, char **ret_text, size_t *ret_bytes, mode_t *ret_mode)
{
    struct stat found = {0};
    int fd = whole_file_open(path, &found);

    if (fd < 0)
        return fd;
    char *text = xcalloc(most_bytes + 2, 1); /* one byte to notice a larger file, one for the NUL */
    size_t bytes = 0;
    int error = 0;
    while (bytes <= most_bytes) {
        ssize_t got = read(fd, text + bytes, most_bytes + 1 - bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            error = -errno;
        if (got <= 0)
            break;
        bytes += (size_t)got;
    }
    close(fd);
    if (error == 0 && bytes > most_bytes)
        error = -EFBIG;
    if (error < 0) {
        free(text);
        return error;
    }
    *ret_text = text;
    *ret_bytes = bytes;
    *ret_mode = found.st_mode;
    return 0;
}
