/* queue/lock.c - the file beside the database: who uses it, and how that ended.
 *
 * It is a file of its own because closing any descriptor of the database itself
 * would drop the locks that SQLite holds on it (fcntl(2) locks belong to the
 * process). One line is in it, always of the same length, for a disk that is full
 * takes that too:
 *
 *     running TOKEN    the last run of the database; it did not close it in order
 *     closed  TOKEN    it did
 *     damaged TOKEN    it found it damaged
 */
#include "queue/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { LINE_BYTES = 25 };

static const char *const words[] = {
    [MARK_RUNNING] = "running", [MARK_CLOSED] = "closed", [MARK_DAMAGED] = "damaged"};

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

enum queue_mark queue_mark(int fd, char ret_token[static 17])
{
    char line[LINE_BYTES + 1] = "", word[8] = "", token[17] = "";
    if (pread(fd, line, LINE_BYTES, 0) != LINE_BYTES || sscanf(line, "%7s %16[0-9a-f]", word, token) != 2)
        return MARK_NONE;
    memcpy(ret_token, token, sizeof token);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (words[i] && strcmp(word, words[i]) == 0)
            return (enum queue_mark)i;
    return MARK_NONE;
}

void queue_set_mark(int fd, enum queue_mark mark, const char *token)
{
    char line[LINE_BYTES + 1];
    snprintf(line, sizeof line, "%-7s %-16.16s\n", words[mark], token);
    /* Best effort: without it a small database is checked needlessly, or a damaged one
     * found out later. */
    if (pwrite(fd, line, LINE_BYTES, 0) == LINE_BYTES)
        fdatasync(fd);
}
