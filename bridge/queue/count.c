/* queue/count.c - how many messages there are: for max_messages, and for people.
 *
 * Nobody counts a million rows at a start. They are counted in steps, in the order of ids, a
 * few milliseconds at a time. What is appended or deleted meanwhile is accounted for, so
 * at the end the number is exact, and stays exact. Appended rows come after the cursor: they
 * are counted when it reaches them. Deleted rows matter only when the cursor has passed them.
 *
 * When another process changed the queue, it is counted again; until that is done, the old
 * number stays in use.
 */
#include "queue/count.h"
#include "base/clock.h"

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

int64_t queue_count_rows(const struct queue *queue)
{
    return queue->count.messages + queue->count.change;
}

void queue_count_appended(struct queue *queue)
{
    queue->count.change++;
}

void queue_count_returned(struct queue *queue, int64_t id)
{
    queue->count.change++;
    if (id <= queue->count.cursor)
        queue->count.change_so_far++;
}

int queue_rows_delete(struct queue *queue, int64_t first, int64_t last, const char *doing)
{
    struct count *count = &queue->count;
    int64_t split = count->counting ? count->cursor : 0;
    if (first <= split && split < last) { /* so that the rows up to the cursor are known */
        int error = queue_rows_delete(queue, first, split, doing);
        return error != 0 ? error : queue_rows_delete(queue, split + 1, last, doing);
    }
    int error = queue_run(queue, Q_DELETE, first, last, doing);
    if (error != 0)
        return error;
    int rows = sqlite3_changes(queue->db.handle);
    count->change -= rows;
    if (last <= count->cursor)
        count->change_so_far -= rows;
    return 0;
}

void queue_count_ended(struct queue *queue, const struct queue_end *end)
{
    struct count *count = &queue->count;
    if (end->committed) {
        count->messages += count->change;
        count->so_far += count->change_so_far;
    }
    count->change = count->change_so_far = 0;
}
