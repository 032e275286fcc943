/* queue/count.c - how many messages there are: for max_messages, and for people.
 *
 * Nobody counts a million rows at a start. They are counted in steps, in the order
 * of ids, a few milliseconds at a time; what is appended or deleted meanwhile is
 * accounted for, so that at the end the number is exact, and from then on it is
 * kept so. Appended rows lie behind the cursor: they are counted when it comes to
 * them. Deleted ones count only if the cursor is beyond them.
 *
 * When another process changed the queue, it is counted again; until that is done,
 * the old number holds.
 */
#include "base/clock.h"
#include "queue/internal.h"

enum { STEP_ROWS = 512, STEP_MS = 5 };

static void start(struct queue *queue)
{
    struct count *count = &queue->count;
    count->counting = true;
    count->cursor = count->so_far = 0;
    count->version = queue->data_version;
}

/* Returns whether there is more. */
static bool count_some(struct queue *queue)
{
    struct count *count = &queue->count;
    sqlite3_stmt *statement = queue->statements[Q_COUNT];
    sqlite3_bind_int64(statement, 1, count->cursor);
    sqlite3_bind_int(statement, 2, STEP_ROWS);
    int rows = 0, code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        count->cursor = sqlite3_column_int64(statement, 0);
        rows++;
    }
    int error = db_result(&queue->db, code, "count messages");
    sqlite3_reset(statement);
    count->so_far += rows;
    if (error != 0 || rows == STEP_ROWS)
        return error == 0;
    count->counting = false;
    count->known = true;
    count->messages = count->so_far;
    return false;
}

void queue_count_step(struct queue *queue)
{
    struct count *count = &queue->count;
    queue_refresh(queue);
    if ((!count->known && !count->counting) || count->version != queue->data_version)
        start(queue);
    int64_t end_ms = clock_uptime_ms() + STEP_MS;
    while (count->counting && count_some(queue) && clock_uptime_ms() < end_ms)
        ;
}

void queue_count_appended(struct queue *queue)
{
    queue->count.change++;
}

void queue_count_deleted(struct queue *queue, int64_t last, int64_t rows)
{
    queue->count.change -= rows;
    if (last <= queue->count.cursor)
        queue->count.change_so_far -= rows;
}

int64_t queue_count_split(const struct queue *queue)
{
    return queue->count.counting ? queue->count.cursor : 0;
}

int64_t queue_waiting(const struct queue *queue)
{
    if (!queue->count.known)
        return -1;
    int64_t delivered = (int64_t)(queue->settled.count + queue->unconfirmed.count);
    int64_t rows = queue->count.messages + queue->count.change;
    return rows > delivered ? rows - delivered : 0;
}

void queue_count_ended(struct queue *queue, bool committed)
{
    struct count *count = &queue->count;
    if (committed) {
        count->messages += count->change;
        count->so_far += count->change_so_far;
    }
    count->change = count->change_so_far = 0;
}
