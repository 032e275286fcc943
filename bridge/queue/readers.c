/* queue/readers.c - readers that keep the write-ahead log from starting again.
 *
 * A checkpoint moves committed pages from the log into the database; after one that moved all
 * of them, the log starts again from its beginning. A checkpoint cannot move pages that are
 * newer than what a reader sees: a `select` left open in a pager holds the log, which grows
 * with each commit. Readers are not ended, because the machine is theirs. But the daemon logs
 * who they are, and the file shrinks as soon as they are gone.
 *
 * They are found by the locks that SQLite takes for them on the -shm file (see "WAL-mode File
 * Format" in its documentation), in the kernel's list of locks. To open that file and ask for
 * the locks is not possible: closing a descriptor of it drops all locks that this process has
 * on it.
 */
#include "queue/readers.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/log.h"
#include "text/units.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LOG_MOST_BYTES = 8 * 1024 * 1024, /* twice what the log is cut to when it starts again */
    REPORT_EVERY_MS = 60 * 60 * 1000,
    UNSEEN_MS = 10 * 1000, /* a holder that is not found may be the checkpoint of another process */
    WRITE_LOCK = 120,      /* bytes of the -shm file: locked by the writer; */
    READ_LOCK_FIRST = 123, /* one of these is locked by each reader */
    READ_LOCK_LAST = 127,
    MOST_NAMED = 4,
    NAME_BYTES = 16, /* TASK_COMM_LEN */
};

/* ---- the kernel's list of locks ---- */

/* A file, as the list names it. */
struct listed {
    ino_t inode;
    bool has_device;
    unsigned major, minor;
};

/* The process that has, by a line of /proc/locks, locked one of these bytes, or 0. A line is like
 *     5: POSIX  ADVISORY  READ  4711 08:02:131075 124 124 */
static pid_t holder_in(const char *line, const struct listed *file, int64_t from, int64_t to)
{
    char kind[16], last_text[24];
    int pid;
    unsigned long long of_inode;
    unsigned major, minor;
    int64_t first;
    if (sscanf(line, "%*d: %15s %*s %*s %d %x:%x:%llu %" SCNd64 " %23s", kind, &pid, &major, &minor,
               &of_inode, &first, last_text) != 7)
        return 0; /* a process that waits for a lock has another line, and holds nothing */
    int64_t last = strcmp(last_text, "EOF") == 0 ? INT64_MAX : strtoll(last_text, NULL, 10);
    bool same =
        of_inode == file->inode && (!file->has_device || (major == file->major && minor == file->minor));
    bool is_holder = strcmp(kind, "POSIX") == 0 && same && first <= to && last >= from;
    return is_holder && pid > 0 && pid != getpid() ? pid : 0;
}

/* Up to MOST_NAMED of them, other than ourselves; returns how many. */
static unsigned find_holders(const char *shm_path, int64_t from, int64_t to, pid_t pids[static MOST_NAMED])
{
    struct stat status;
    if (stat(shm_path, &status) != 0)
        return 0;
    struct listed file = {.inode = status.st_ino};
    file.has_device = disk_device(shm_path, &file.major, &file.minor);
    FILE *locks = fopen("/proc/locks", "re");
    if (!locks)
        return 0;
    unsigned count = 0;
    char line[256];
    while (count < MOST_NAMED && fgets(line, sizeof line, locks)) {
        pid_t pid = holder_in(line, &file, from, to);
        bool known = pid == 0;
        for (unsigned i = 0; i < count; i++)
            known = known || pids[i] == pid;
        if (!known)
            pids[count++] = pid;
    }
    fclose(locks);
    return count;
}

/* The descriptor of the file that SQLite has open in this process, or -1. It is not ours to close. */
static int descriptor_of(const char *path)
{
    struct stat wanted, found;
    DIR *list = stat(path, &wanted) == 0 ? opendir("/proc/self/fd") : NULL;
    int fd = -1;
    for (struct dirent *entry; list && fd < 0 && (entry = readdir(list));) {
        char *end;
        long number = strtol(entry->d_name, &end, 10);
        int candidate = *end == '\0' ? (int)number : -1; /* "." and ".." are no numbers */
        if (candidate >= 0 && fstat(candidate, &found) == 0 && found.st_dev == wanted.st_dev &&
            found.st_ino == wanted.st_ino)
            fd = candidate;
    }
    if (list)
        closedir(list);
    return fd;
}

/* Its name in brackets, if it is visible (the unit hides the processes of other users from
 * sluice). A process chooses its name itself. */
static void name_process(pid_t pid, char ret[static NAME_BYTES + 4])
{
    ret[0] = '\0';
    cleanup_free char *path = xasprintf("/proc/%d/comm", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    char name[NAME_BYTES + 1] = "";
    if (fgets(name, sizeof name, file)) {
        name[strcspn(name, "\n")] = '\0';
        for (char *at = name; *at; at++)
            if (!isprint((unsigned char)*at))
                *at = '?';
        snprintf(ret, NAME_BYTES + 4, " (%s)", name);
    }
    fclose(file);
}

static char *name_holders(const pid_t *pids, unsigned count)
{
    char *text = NULL;
    for (unsigned i = 0; i < count; i++) {
        char name[NAME_BYTES + 4];
        name_process(pids[i], name);
        char *longer = xasprintf("%s%spid %d%s", text ? text : "", text ? ", " : "", (int)pids[i], name);
        free(text);
        text = longer;
    }
    return text ? text : xstrdup("a process that cannot be seen from here (in a container?)");
}

/* There is one writer at most, so the list above is not needed: to read a page of it stops all locking on
 * the machine for a moment, which took more than a second on a busy one. */
char *queue_writers_text(const struct queue *queue)
{
    cleanup_free char *shm_path = xasprintf("%s-shm", sqlite3_db_filename(queue->db.handle, NULL));
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = WRITE_LOCK, .l_len = 1};
    int fd = descriptor_of(shm_path);
    bool found = fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0;
    return name_holders(&lock.l_pid, found ? 1 : 0);
}

/* ---- reports ---- */

static void report_held(struct queue *queue, const char *who, int64_t bytes, int64_t now_ms)
{
    if (throttle_due(&queue->readers.reports, 1, now_ms, REPORT_EVERY_MS) == 0)
        return;
    char size[UNITS_BYTES];
    log_warning(EVENT_WAL_HELD, "the write-ahead log has grown to %s because a query is open: %s; close it",
                units_size(bytes, size), who);
    cleanup_free char *description =
        xasprintf("an open query makes the write-ahead log grow; close it: %s", who);
    queue_problem_set(queue, "reader", description);
}

static void report_over(struct queue *queue, int64_t now_ms)
{
    struct queue_readers *readers = &queue->readers;
    if (readers->reports.reported_ms != 0) {
        log_notice(EVENT_WAL_RELEASED, "after %lld s", (long long)(now_ms - readers->since_ms) / 1000);
        queue_problem_set(queue, "reader", NULL);
    }
    *readers = (struct queue_readers){0};
}

void queue_readers_step(struct queue *queue)
{
    const char *path = sqlite3_db_filename(queue->db.handle, NULL);
    cleanup_free char *log_path = xasprintf("%s-wal", path);
    cleanup_free char *shm_path = xasprintf("%s-shm", path);
    struct queue_readers *readers = &queue->readers;
    int64_t now_ms = clock_uptime_ms();
    struct stat status;
    if (stat(log_path, &status) != 0)
        return;
    /* It does not wait: with a reader, it moves the pages that it can. */
    int code = SQLITE_OK;
    if (status.st_size > LOG_MOST_BYTES)
        code = db_checkpoint(&queue->db, SQLITE_CHECKPOINT_TRUNCATE);
    if (code == SQLITE_OK) {
        report_over(queue, now_ms);
        return;
    }
    if (code != SQLITE_BUSY)
        return; /* the disk fails, which commits report */
    if (readers->since_ms == 0)
        readers->since_ms = now_ms;
    pid_t pids[MOST_NAMED];
    unsigned count = find_holders(shm_path, READ_LOCK_FIRST, READ_LOCK_LAST, pids);
    if (count == 0 && now_ms - readers->since_ms < UNSEEN_MS)
        return;
    cleanup_free char *who = name_holders(pids, count);
    report_held(queue, who, status.st_size, now_ms);
}
