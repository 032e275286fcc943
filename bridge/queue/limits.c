/* queue/limits.c - how full the queue is.
 *
 * Its size is that of its pages in use and of the write-ahead log. Both are known without
 * reading a row: SQLite keeps the numbers of pages and of free pages on its first page. They
 * are measured once. Then each stored message is subtracted from the room, until it is used
 * up, the transaction ends, or a second has passed.
 *
 *       0 ─────────────────────────────── low ──── full ── max_size
 *                                          │         │  ◄──── headroom: the open transaction may
 *           below this, it has room again ─┘         │        still need it
 *        above this, dead letters are dropped          └─ no more is stored
 *
 * The log normally grows to 4 MiB and one commit, and keeps that size; so much always counts. If
 * a reader keeps it from starting again, it grows with each commit, and dropping messages does
 * not make it smaller: then the edges hold, whatever when_full says.
 */
#include "queue/limits.h"
#include "base/clock.h"
#include "queue/count.h"
#include "text/filling.h"
#include "text/units.h"

#include <assert.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#define MIB INT64_C(1048576)

enum {
    LOOK_MS = 1000, /* a measurement is valid this long */
};

static const int64_t headroom_bytes = 2 * MIB;
static const int64_t disk_room_bytes = 4 * MIB; /* of stored bytes, then the disk is measured again */
static const int64_t wal_least_bytes = 4 * MIB; /* as journal_size_limit in db/db.c */

const char *const queue_reasons[REASONS] = {
    [REASON_SIZE] = "max_size",   [REASON_MESSAGES] = "max_messages",
    [REASON_FREE] = "min_free",   [REASON_AGE] = "max_age",
    [REASON_DEAD] = "max_dead",   [REASON_DEAD_MESSAGES] = "max_dead_messages",
    [REASON_EXPIRED] = "expired",
};

void queue_limit(struct queue *queue, const struct config_queue *config)
{
    struct limits *limits = &queue->limits;
    limits->given = true;
    limits->config = *config;
    limits->measured_ms = limits->disk_at_ms = 0;
    queue->drops.age_cursor = 0;
    memset(limits->over, 0, sizeof limits->over);
    queue_count_step(queue); /* a small queue is counted at once */
}

/* ---- measuring ---- */

static int64_t wal_bytes(struct queue *queue)
{
    sqlite3_file *file = NULL;
    sqlite3_int64 bytes = 0;
    if (sqlite3_file_control(queue->db.handle, NULL, SQLITE_FCNTL_JOURNAL_POINTER, &file) == SQLITE_OK &&
        file && file->pMethods && file->pMethods->xFileSize(file, &bytes) != SQLITE_OK)
        return 0;
    return bytes;
}

static void look_at_disk(struct queue *queue, int64_t now_ms)
{
    struct limits *limits = &queue->limits;
    bool ample = limits->disk_free - limits->config.min_free > 4 * disk_room_bytes;
    if (limits->disk_at_ms != 0 && limits->disk_room > 0 && now_ms - limits->disk_at_ms < LOOK_MS && ample)
        return;
    limits->disk_free = queue_disk_free(queue);
    limits->disk_at_ms = now_ms;
    limits->disk_room = disk_room_bytes;
}

int64_t queue_disk_free(const struct queue *queue)
{
    cleanup_free char *path = xstrdup(queue->path);
    struct statvfs disk;
    if (statvfs(dirname(path), &disk) != 0)
        return INT64_MAX / 2; /* without a measurement there is no limit; a write finds out */
    return (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
}

static int64_t full_at(const struct limits *limits)
{
    int64_t eighth = limits->config.max_size / 8;
    return limits->config.max_size - (eighth < headroom_bytes ? eighth : headroom_bytes);
}

/* A full queue has room again when this is free. */
static int64_t twentieth(int64_t limit)
{
    return limit / 20 > 0 ? limit / 20 : 1;
}

/* What dead letters leave free: also enough for what the log grows by, beyond what always counts,
 * while the messages of a large commit are dead-lettered. */
static int64_t margin(int64_t limit)
{
    int64_t commits = limit / 4 < wal_least_bytes ? limit / 4 : wal_least_bytes;
    return twentieth(limit) > commits ? twentieth(limit) : commits;
}

static bool is_over(bool was_over, int64_t value, int64_t limit)
{
    return was_over ? value > limit - twentieth(limit) : value >= limit;
}

/* To use free pages takes no more space of the disk. */
static void measure_disk(struct queue *queue, int64_t now_ms)
{
    struct limits *limits = &queue->limits;
    bool was_over = limits->over[REASON_FREE];
    int64_t min_free = limits->config.min_free;
    limits->free_room = INT64_MAX;
    limits->free_lack = INT64_MIN / 2;
    limits->over[REASON_FREE] = false;
    if (min_free == 0 && !queue->storage.out_of_space)
        return;
    look_at_disk(queue, now_ms);
    int64_t spare = limits->disk_free - min_free;
    int64_t lack = queue->storage.out_of_space ? queue_reserve_lacks(queue->storage.reserve) : 0;
    limits->free_lack = (lack > margin(min_free) ? lack : margin(min_free)) - spare - limits->free_bytes;
    if (min_free == 0)
        return;
    limits->over[REASON_FREE] = spare < (was_over ? min_free / 20 : 0);
    limits->free_room = (spare > 0 ? spare : 0) + limits->free_bytes;
}

void queue_limits_measure(struct queue *queue)
{
    struct limits *limits = &queue->limits;
    int64_t now_ms = clock_uptime_ms();
    limits->measured_ms = now_ms;
    if (limits->page_bytes == 0)
        limits->page_bytes = queue_number(queue, Q_PAGE_SIZE);
    limits->free_bytes = queue_number(queue, Q_FREE_PAGES) * limits->page_bytes;
    limits->used_bytes = queue_number(queue, Q_PAGE_COUNT) * limits->page_bytes - limits->free_bytes;
    limits->wal_bytes = wal_bytes(queue);
    if (!limits->given)
        return;
    int64_t wal = limits->wal_bytes > wal_least_bytes ? limits->wal_bytes : wal_least_bytes;
    int64_t size = limits->used_bytes + wal;
    limits->over[REASON_SIZE] = is_over(limits->over[REASON_SIZE], size, full_at(limits));
    limits->size_room = full_at(limits) - limits->used_bytes - wal_least_bytes;
    limits->size_lack = margin(full_at(limits)) - limits->size_room;
    limits->over[REASON_MESSAGES] =
        limits->config.max_messages > 0 && queue->count.known &&
        is_over(limits->over[REASON_MESSAGES], queue_count_rows(queue), limits->config.max_messages);
    measure_disk(queue, now_ms);
}

void queue_limits_appended(struct queue *queue, size_t bytes)
{
    struct limits *limits = &queue->limits;
    int64_t row_bytes = queue_row_bytes(bytes);
    limits->size_room -= row_bytes;
    limits->free_room -= row_bytes;
    limits->size_lack += row_bytes;
    limits->free_lack += row_bytes;
    limits->disk_room -= row_bytes;
}

int64_t queue_limits_lack(const struct queue *queue)
{
    const struct limits *limits = &queue->limits;
    return limits->size_lack > limits->free_lack ? limits->size_lack : limits->free_lack;
}

int64_t queue_messages_room(const struct queue *queue)
{
    if (queue->limits.config.max_messages == 0 || !queue->count.known)
        return INT64_MAX;
    return queue->limits.config.max_messages - queue_count_rows(queue);
}

/* ---- full ---- */

/* The first limit that is reached, or REASONS. */
static enum queue_reason first_over(const struct limits *limits)
{
    enum queue_reason reason = REASON_SIZE;
    while (reason < REASONS && !limits->over[reason])
        reason++;
    return reason;
}

static enum queue_reason look(struct queue *queue)
{
    struct limits *limits = &queue->limits;
    if (!limits->given)
        return REASONS;
    bool stale = limits->measured_ms == 0 || clock_uptime_ms() - limits->measured_ms >= LOOK_MS;
    bool used_up = limits->size_room <= 0 || limits->free_room <= 0 || queue_messages_room(queue) <= 0;
    if (stale || used_up || first_over(limits) != REASONS)
        queue_limits_measure(queue);
    return first_over(limits);
}

const char *queue_full(struct queue *queue)
{
    if (queue->storage.failing || queue->storage.out_of_space)
        return "storage";
    enum queue_reason reason = look(queue);
    return reason == REASONS ? NULL : queue_reasons[reason];
}

bool queue_drops_oldest(const struct queue *queue)
{
    return queue->limits.config.when_full == CONFIG_FULL_DROP_OLDEST;
}

const char *queue_hold(struct queue *queue)
{
    const char *full = queue_full(queue);
    const struct limits *limits = &queue->limits;
    if (!full || limits->config.when_full == CONFIG_FULL_HOLD || queue->storage.failing ||
        queue->storage.out_of_space)
        return full;
    bool log_too_long =
        limits->over[REASON_SIZE] && limits->used_bytes + limits->wal_bytes >= limits->config.max_size;
    return log_too_long ? full : NULL;
}

/* ---- for people ---- */

static const char *const consequence[] = {
    [CONFIG_FULL_HOLD] = "messages wait at the broker (when_full = hold)",
    [CONFIG_FULL_DROP_OLDEST] = "the oldest messages are dropped (when_full = drop-oldest)",
    [CONFIG_FULL_DROP_NEWEST] = "new messages are dropped (when_full = drop-newest)",
};

const char *queue_limit_text(const struct queue *queue, enum queue_reason reason)
{
    static char text[UNITS_BYTES + 32];
    const struct limits *limits = &queue->limits;
    char value[UNITS_BYTES];
    switch (reason) {
    case REASON_EXPIRED:
        return queue_reasons[reason];
    case REASON_SIZE:
        units_exact_size(limits->config.max_size, value);
        break;
    case REASON_FREE:
        units_exact_size(limits->config.min_free, value);
        break;
    case REASON_AGE:
        units_exact_duration(limits->config.max_age_ms, value);
        break;
    case REASON_DEAD:
        units_exact_size(limits->config.max_dead, value);
        break;
    case REASON_DEAD_MESSAGES:
        snprintf(value, sizeof value, "%lld", (long long)limits->config.max_dead_messages);
        break;
    default:
        snprintf(value, sizeof value, "%lld", (long long)limits->config.max_messages);
    }
    snprintf(text, sizeof text, "%s %s", queue_reasons[reason], value);
    return text;
}

char *queue_full_text(struct queue *queue)
{
    if (queue->storage.out_of_space)
        return xstrdup("the disk is full");
    if (queue->storage.failing)
        return xasprintf("storage: %s", queue->storage.error == -ESTALE ? "its files were deleted or replaced"
                                                                        : strerror(-queue->storage.error));
    enum queue_reason reason = look(queue);
    return xstrdup(reason == REASONS ? "" : queue_limit_text(queue, reason));
}

char *queue_filling_text(struct queue *queue)
{
    int64_t waiting = queue_waiting(queue);
    struct amount dead = queue_count_dead(queue);
    if (waiting < 0 || !queue->dead.known)
        return xstrdup("its messages are being counted");
    cleanup_free char *filling = filling_text(waiting, dead.rows, dead.bytes);
    char log[UNITS_BYTES];
    if (queue->limits.wal_bytes <= 2 * wal_least_bytes)
        return xstrdup(filling);
    return xasprintf("%s, the write-ahead log takes %s, which an open query keeps", filling,
                     units_size(queue->limits.wal_bytes, log));
}

char *queue_room_text(struct queue *queue)
{
    queue_limits_measure(queue);
    char used[UNITS_BYTES], most[UNITS_BYTES], left[UNITS_BYTES];
    units_size(queue->limits.used_bytes + queue->limits.wal_bytes, used);
    units_exact_size(queue->limits.config.max_size, most);
    units_size(queue_disk_free(queue), left);
    return queue->limits.config.max_messages > 0
               ? xasprintf("%lld of %lld messages, %s of %s, %s left on the disk",
                           (long long)queue_count_rows(queue), (long long)queue->limits.config.max_messages,
                           used, most, left)
               : xasprintf("%s of %s, %s left on the disk", used, most, left);
}

void queue_limits_problem_set(struct queue *queue)
{
    const struct limits *limits = &queue->limits;
    cleanup_free char *description = NULL;
    enum queue_reason reason = REASON_SIZE;
    if (limits->config.when_full == CONFIG_FULL_HOLD) {
        reason = look(queue);
    } else {
        while (reason < REASON_AGE && queue->drops.tallies[reason].in_all == 0)
            reason++;
    }
    if (limits->given && reason < REASON_AGE)
        description =
            xasprintf("%s: %s", queue_limit_text(queue, reason), consequence[limits->config.when_full]);
    queue_problem_set(queue, "full", description);
}
