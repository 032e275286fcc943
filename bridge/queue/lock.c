/* queue/lock.c - the lock file beside the database: it keeps a second writer out, and has
 * how the last use of the database ended.
 *
 * It is a file of its own, because closing any descriptor of the database itself would drop
 * the locks that SQLite holds on it (fcntl(2) locks belong to the process). It has one line,
 * always of the same length, so that it can be written on a full disk too:
 *
 *     running TOKEN    the run with this token has it open, or ended without closing it
 *     closed  TOKEN    that run closed it
 *     damaged TOKEN    that run found it damaged
 */
#include "queue/lock.h"
#include "base/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { LINE_BYTES = 25 };

static const char *const names[] = {
    [LOCK_RUNNING] = "running", [LOCK_CLOSED] = "closed", [LOCK_DAMAGED] = "damaged"};

int queue_lock(const char *path, int *ret_fd)
{
    cleanup_free char *name = xasprintf("%s-lock", path);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno == EWOULDBLOCK ? -EBUSY : -errno;
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

enum lock_state queue_lock_read(int fd, char ret_token[static 17])
{
    char line[LINE_BYTES + 1] = "", word[8] = "", token[17] = "";
    if (pread(fd, line, LINE_BYTES, 0) != LINE_BYTES || sscanf(line, "%7s %16[0-9a-f]", word, token) != 2)
        return LOCK_UNKNOWN;
    memcpy(ret_token, token, sizeof token);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i] && strcmp(word, names[i]) == 0)
            return (enum lock_state)i;
    return LOCK_UNKNOWN;
}

void queue_lock_write(int fd, enum lock_state state, const char *token)
{
    char line[LINE_BYTES + 1];
    snprintf(line, sizeof line, "%-7s %-16.16s\n", names[state], token);
    /* Best effort: without it, a small database is checked without need, or damage is found
     * later. */
    disk_begin();
    if (pwrite(fd, line, LINE_BYTES, 0) == LINE_BYTES)
        fdatasync(fd);
    disk_end();
}
