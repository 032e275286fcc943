/* limits_place.h - a queue with limits. */
#ifndef SLUICE_LIMITS_PLACE_H
#define SLUICE_LIMITS_PLACE_H

#include "queue/queue_place.h"

#include <sys/stat.h>

#define MIB INT64_C(1048576)

static const struct config_queue no_limits = {.max_size = INT64_C(1) << 40};

static inline struct queue *open_limited(struct config_queue config)
{
    struct queue *queue = open_queue();
    if (config.max_size == 0)
        config.max_size = no_limits.max_size;
    queue_limit(queue, &config);
    return queue;
}

static inline void assert_full(struct queue *queue, const char *limit)
{
    const char *full = queue_full(queue);
    if (!limit ? full != NULL : !full || strcmp(full, limit) != 0)
        fail_msg("full: %s, not %s", full ? full : "-", limit ? limit : "-");
}

static inline void store_many(struct queue *queue, int count, size_t bytes)
{
    cleanup_free char *payload = xcalloc(1, bytes + 1);
    struct message message = reading("a", payload, bytes);
    assert_int_equal(queue_begin(queue), 0);
    for (int i = 0; i < count; i++)
        append(queue, &message);
    assert_int_equal(queue_commit(queue), 0);
}

static inline void deliver(struct queue *queue, int64_t first, int64_t last)
{
    for (int64_t id = first; id <= last; id++)
        confirm_and_settle(queue, id);
    assert_int_equal(queue_settle_commit(queue, SIZE_MAX), 0);
}

static inline void change(const char *sql)
{
    sqlite3 *handle = look(SQLITE_OPEN_READWRITE);
    execute(handle, sql);
    sqlite3_close(handle);
}

static inline int64_t file_bytes(const char *suffix)
{
    cleanup_free char *path = xasprintf("%s%s", place.path, suffix);
    struct stat file;
    return stat(path, &file) == 0 ? (int64_t)file.st_size : 0;
}

/* As the limit is meant: pages in use, and the log. */
static inline int64_t size_by_sql(void)
{
    sqlite3 *handle = look(SQLITE_OPEN_READONLY);
    cleanup_free char *pages =
        ask_with(handle, "SELECT (page_count - freelist_count) * page_size FROM"
                         " pragma_page_count, pragma_freelist_count, pragma_page_size");
    sqlite3_close(handle);
    return strtoll(pages, NULL, 10) + file_bytes("-wal");
}

static inline void upkeep(struct queue *queue, int times)
{
    for (int i = 0; i < times; i++)
        queue_upkeep(queue, true);
}

#endif
