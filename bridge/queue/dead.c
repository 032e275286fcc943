/* queue/dead.c - see queue/dead.h. */
#include "queue/dead.h"
#include "queue/confirm.h"
#include "queue/count.h"
#include "queue/dropped.h"
#include "queue/limits.h"

#include <errno.h>

enum { STEP_ROWS = 500 }; /* for one dead letter; queue_drop_step drops the rest */

enum queue_reason queue_dead_exceeded(const struct queue *queue)
{
    const struct config_queue *config = &queue->limits.config;
    struct amount dead = queue_count_dead(queue);
    if (config->max_dead_messages > 0 && dead.rows > config->max_dead_messages)
        return REASON_DEAD_MESSAGES;
    /* One that is larger than the limit is better than none. */
    return config->max_dead > 0 && dead.bytes > config->max_dead && dead.rows > 1 ? REASON_DEAD : REASONS;
}

/* Where another program fills the disk, or messages fill the queue far beyond a lowered limit,
 * dead letters would be lost for nothing. */
bool queue_dead_can_help(const struct queue *queue)
{
    int64_t lack = queue_limits_lack(queue);
    return queue->limits.given && lack > 0 && queue_count_dead(queue).bytes >= lack;
}

int queue_dead_drop(struct queue *queue, enum queue_reason reason, bool held, size_t *ret_bytes)
{
    sqlite3_stmt *oldest = queue->statements[Q_OLDEST_NOT_HELD];
    int code = db_step(oldest, "iti");
    if (code == SQLITE_DONE && held) {
        sqlite3_reset(oldest);
        oldest = queue->statements[Q_OLDEST_DEAD];
        code = db_step(oldest, "iti");
    }
    int error = code == SQLITE_DONE ? -ENOENT : db_result(&queue->db, code, "find the oldest dead letter");
    if (code == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(oldest, 0);
        *ret_bytes = (size_t)sqlite3_column_int64(oldest, 2);
        error =
            queue_count_dropped_row(queue, reason, (const char *)sqlite3_column_text(oldest, 1), *ret_bytes);
        sqlite3_reset(oldest);
        if (error == 0)
            error = queue_fingerprints_keep(queue, id, id);
        return error != 0 ? error : queue_dead_delete(queue, id, "drop a dead letter");
    }
    sqlite3_reset(oldest);
    return error;
}

int queue_dead_bound(struct queue *queue)
{
    enum queue_reason reason;
    for (int rows = 0; rows < STEP_ROWS && (reason = queue_dead_exceeded(queue)) != REASONS; rows++) {
        size_t bytes;
        int error = queue_dead_drop(queue, reason, true, &bytes);
        if (error != 0)
            return error == -ENOENT ? 0 : error;
    }
    return 0;
}
