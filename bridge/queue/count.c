/* queue/count.c - how many messages and dead letters there are: for max_messages and max_dead, and
 * for people.
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
#include "queue/confirm.h"

enum {
    STEP_ROWS = 512,
    STEP_MS = 5,
    ROW_BYTES = 100,     /* of a row, without what is measured, about */
    INLINE_BYTES = 4000, /* longer payloads take pages of their own */
};

int64_t queue_row_bytes(size_t bytes)
{
    return ROW_BYTES + (int64_t)bytes + (bytes > INLINE_BYTES ? INLINE_BYTES : 0);
}

static struct amount sum(struct amount a, struct amount b)
{
    return (struct amount){.rows = a.rows + b.rows, .bytes = a.bytes + b.bytes};
}

/* ---- counting ---- */

static void start(struct queue *queue, struct count *count)
{
    count->counting = true;
    count->cursor = 0;
    count->so_far = (struct amount){.rows = 0};
    count->version = queue->data_version;
}

/* Returns whether there is more. */
static bool count_some(struct queue *queue, struct count *count, sqlite3_stmt *statement)
{
    sqlite3_bind_int64(statement, 1, count->cursor);
    sqlite3_bind_int(statement, 2, STEP_ROWS);
    struct amount found = {.rows = 0};
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        count->cursor = sqlite3_column_int64(statement, 0);
        found.rows++;
        found.bytes += queue_row_bytes((size_t)sqlite3_column_int64(statement, 1));
    }
    int error = db_result(&queue->db, code, "count messages");
    sqlite3_reset(statement);
    count->so_far = sum(count->so_far, found);
    if (error != 0 || found.rows == STEP_ROWS)
        return error == 0;
    count->counting = false;
    count->known = true;
    count->amount = count->so_far;
    return false;
}

static void step(struct queue *queue, struct count *count, enum queue_statement which)
{
    if ((!count->known && !count->counting) || count->version != queue->data_version)
        start(queue, count);
    int64_t end_ms = clock_uptime_ms() + STEP_MS;
    while (count->counting && count_some(queue, count, queue->statements[which]) &&
           clock_uptime_ms() < end_ms)
        ;
}

void queue_count_step(struct queue *queue)
{
    queue_refresh(queue);
    step(queue, &queue->count, Q_COUNT);
    step(queue, &queue->dead, Q_COUNT_DEAD);
}

int64_t queue_count_rows(const struct queue *queue)
{
    return queue->count.amount.rows + queue->count.change.rows;
}

struct amount queue_count_dead(const struct queue *queue)
{
    const struct count *dead = &queue->dead;
    return dead->known ? sum(dead->amount, dead->change) : sum(dead->so_far, dead->change_so_far);
}

/* ---- changes ---- */

static void change_row(struct count *count, int64_t id, struct amount change)
{
    count->change = sum(count->change, change);
    if (id <= count->cursor)
        count->change_so_far = sum(count->change_so_far, change);
}

void queue_count_appended(struct queue *queue)
{
    queue->count.change.rows++;
}

void queue_count_returned(struct queue *queue, int64_t id)
{
    change_row(&queue->count, id, (struct amount){.rows = 1});
}

/* *ret: the dead letter with this id; no row where there is none. */
static int measure_dead(struct queue *queue, int64_t id, struct amount *ret)
{
    sqlite3_stmt *row = queue->statements[Q_DEAD_BYTES];
    sqlite3_bind_int64(row, 1, id);
    int code = db_step(row, "i");
    *ret = (struct amount){.rows = 0};
    if (code == SQLITE_ROW)
        *ret = (struct amount){.rows = 1, .bytes = queue_row_bytes((size_t)sqlite3_column_int64(row, 0))};
    int error = db_result(&queue->db, code, "measure a dead letter");
    sqlite3_reset(row);
    return code == SQLITE_ROW ? 0 : error;
}

int queue_dead_added(struct queue *queue, int64_t id)
{
    struct amount amount;
    int error = measure_dead(queue, id, &amount);
    if (error == 0)
        change_row(&queue->dead, id, amount);
    return error;
}

int queue_dead_delete(struct queue *queue, int64_t id, const char *doing)
{
    struct amount amount;
    int error = measure_dead(queue, id, &amount);
    if (error == 0)
        error = queue_run(queue, Q_DELETE_DEAD, id, 0, doing);
    if (error == 0)
        change_row(&queue->dead, id, (struct amount){.rows = -amount.rows, .bytes = -amount.bytes});
    return error;
}

static int delete_rows(struct queue *queue, int64_t first, int64_t last, const char *doing)
{
    struct count *count = &queue->count;
    int64_t split = count->counting ? count->cursor : 0;
    if (first <= split && split < last) { /* so that the rows up to the cursor are known */
        int error = delete_rows(queue, first, split, doing);
        return error != 0 ? error : delete_rows(queue, split + 1, last, doing);
    }
    int error = queue_run(queue, Q_DELETE, first, last, doing);
    if (error != 0)
        return error;
    int rows = sqlite3_changes(queue->db.handle);
    change_row(count, last, (struct amount){.rows = -rows});
    return 0;
}

int queue_rows_delete(struct queue *queue, int64_t first, int64_t last, const char *doing)
{
    int error = queue_fingerprints_keep(queue, first, last);
    return error != 0 ? error : delete_rows(queue, first, last, doing);
}

int queue_row_delete_moved(struct queue *queue, int64_t id, const char *doing)
{
    return delete_rows(queue, id, id, doing);
}

static void end_count(struct count *count, bool committed)
{
    if (committed) {
        count->amount = sum(count->amount, count->change);
        count->so_far = sum(count->so_far, count->change_so_far);
    }
    count->change = count->change_so_far = (struct amount){.rows = 0};
}

void queue_count_ended(struct queue *queue, const struct queue_end *end)
{
    end_count(&queue->count, end->committed);
    end_count(&queue->dead, end->committed);
}
