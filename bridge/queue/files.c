/* queue/files.c - see queue/files.h.
 *
 * A person may delete the files, or move a backup over them, or somebody else starts a second
 * sluice after the lock file was deleted. What is acknowledged then would be lost when the process
 * ends. So nothing is acknowledged, until the files are back, or what they have is in a new queue.
 */
#include "queue/files.h"
#include "base/log.h"
#include "queue/access.h"
#include "queue/lock.h"
#include "queue/salvage/rescue.h"
#include "text/shell.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <unistd.h>

static bool lock_is_there(const struct queue *queue)
{
    cleanup_free char *name = xasprintf("%s-lock", queue->path);
    struct stat held, there;
    if (queue->lock_fd < 0 || fstat(queue->lock_fd, &held) != 0)
        return true;
    if (stat(name, &there) != 0)
        return errno != ENOENT && errno != ENOTDIR;
    return held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

void queue_files_note(struct queue *queue)
{
    db_files_note(&queue->db, queue->path, &queue->files);
}

int queue_files_look(struct queue *queue)
{
    bool noted = queue->files.file[DB_FILE_MAIN].inode != 0;
    queue->lost =
        noted && !(db_files_are_there(&queue->files, &queue->db, queue->path) && lock_is_there(queue));
    return queue->lost ? -ESTALE : 0;
}

/* The only file in the place that must be opened before what sluice has is saved. */
static bool lock_is_refused(const char *path)
{
    cleanup_free char *name = xasprintf("%s-lock", path);
    return access(name, F_OK) == 0 && access(name, R_OK | W_OK) != 0 && errno == EACCES;
}

/* Under sluice.service the directory is a mount of its own, the only one that the service may write to.
 * Deleting the directory ends the mount, and a new directory is read-only for the service. */
char *queue_files_advice(const char *path)
{
    cleanup_free char *copy = xstrdup(path);
    const char *directory = dirname(copy);
    int pid = (int)getpid();
    cleanup_free char *remedy = lock_is_refused(path) ? queue_access_remedy(path, NULL, NULL) : NULL;
    if (remedy)
        return xasprintf("do not restart sluice, which still has them, but let it use what is there: %s",
                         remedy);
    if (access(directory, W_OK) == 0)
        return xstrdup("do not restart sluice, which saves what they had into a new queue");
    bool read_only = errno == EROFS;
    cleanup_free char *word = shell_word(directory);
    if (read_only)
        return xasprintf("do not restart sluice, which still has them, but let it write: "
                         "sudo nsenter -t %d -m mount --bind %s %s && "
                         "sudo nsenter -t %d -m mount -o remount,bind,rw %s",
                         pid, word, word, pid, word);
    return xasprintf("do not restart sluice, which still has them, but move the directory back, or make it: "
                     "sudo install -d -o %u -g %u -m 2750 %s",
                     (unsigned)geteuid(), (unsigned)getegid(), word);
}

/* Another sluice may have begun to use the place. */
static int lock_again(struct queue *queue, char **ret_why)
{
    int fd;
    if (lock_is_there(queue))
        return 0;
    int error = queue_lock(queue->path, &fd);
    if (error == -EBUSY) {
        *ret_why =
            xasprintf("%s: its files were deleted or replaced, and another sluice uses this place: stop it",
                      queue->path);
    } else if (error != 0) {
        cleanup_free char *advice = queue_files_advice(queue->path);
        *ret_why = xasprintf("%s: its files were deleted or replaced; %s-lock: %s; %s", queue->path,
                             queue->path, strerror(-error), advice);
    }
    if (error != 0)
        return error;
    close(queue->lock_fd);
    queue->lock_fd = fd;
    return 0;
}

int queue_files_save(struct queue *queue, struct queue_saved *ret, char **ret_why)
{
    int error = lock_again(queue, ret_why);
    if (error == 0)
        error = queue_rescue_copy(&queue->db, queue->path, ret_why);
    if (error != 0)
        return error;
    ret->messages = 0;
    if (!queue->db.damaged)
        db_number(&queue->db, "SELECT count(*) FROM message", &ret->messages);
    ret->damaged = queue->db.damaged;
    for (int i = 0; i < DB_FILES; i++)
        ret->ours[i] = db_file_is_there(&queue->files, &queue->db, queue->path, (enum db_file)i);
    return 0;
}

int queue_files_put_back(struct queue *queue, const struct queue_saved *saved, char **ret_why)
{
    char *kept = NULL;
    int error = queue_rescue_finish(queue->path, saved->ours, &kept, ret_why);
    cleanup_free char *what =
        saved->damaged
            ? xstrdup("the files that were deleted or replaced are saved; they are damaged, and are salvaged")
            : xasprintf("the %lld messages of the files that were deleted or replaced are in a new queue",
                        (long long)saved->messages);
    if (error == 0)
        log_error(EVENT_QUEUE_RESCUED, "%s: %s%s%s", queue->path, what,
                  kept ? "; what was put in their place is kept as " : "", kept ? kept : "");
    free(kept);
    return error;
}
