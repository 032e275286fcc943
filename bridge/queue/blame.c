/* queue/blame.c - messages that fail by their own fault: attempts, dead letters.
 *
 * This needs no sync of its own: if a power cut undoes it, the message is sent once more, and
 * fails again.
 */
#include "message/history.h"
#include "queue/count.h"
#include "queue/tx.h"

#include <errno.h>

struct blame {
    int64_t id;
    unsigned attempts;
    int status;
    const char *error;
    const char *event; /* the reason of a dead letter, or that it failed */
    int64_t wall_ms;
};

static void bind_blame(sqlite3_stmt *statement, const struct blame *blame)
{
    sqlite3_bind_int64(statement, 1, blame->id);
    sqlite3_bind_int64(statement, 2, blame->attempts);
    if (blame->status != 0)
        sqlite3_bind_int(statement, 3, blame->status);
    else
        sqlite3_bind_null(statement, 3);
    queue_bind_text(statement, 4, blame->error);
    sqlite3_bind_int64(statement, 5, blame->wall_ms);
    queue_bind_text(statement, 6, blame->event);
}

static int store_failure(struct queue *queue, void *context)
{
    bind_blame(queue->statements[Q_BLAME], context);
    return db_run(&queue->db, queue->statements[Q_BLAME], "store a failed attempt");
}

int queue_blame(struct queue *queue, int64_t id, unsigned attempts, int status, const char *error,
                int64_t wall_ms)
{
    struct blame blame = {.id = id,
                          .attempts = attempts,
                          .status = status,
                          .error = error,
                          .event = MESSAGE_FAILED,
                          .wall_ms = wall_ms};
    return queue_transaction(queue, DB_LAZY, store_failure, &blame);
}

static int mark_deferred(struct queue *queue, void *context)
{
    int error = queue_run(queue, Q_DEFER, *(const int64_t *)context, 0, "defer a message");
    return error == 0 && sqlite3_changes(queue->db.handle) == 0 ? -ENOENT : error;
}

int queue_defer(struct queue *queue, int64_t id)
{
    return queue_transaction(queue, DB_LAZY, mark_deferred, &id);
}

bool queue_is_deferred(struct queue *queue, int64_t id)
{
    sqlite3_bind_int64(queue->statements[Q_IS_DEFERRED], 1, id);
    return queue_number(queue, Q_IS_DEFERRED) == 1;
}

static int move_to_dead(struct queue *queue, void *context)
{
    const struct blame *blame = context;
    sqlite3_stmt *insert = queue->statements[Q_DEAD_LETTER];
    bind_blame(insert, blame);
    int error = db_run(&queue->db, insert, "dead-letter a message");
    if (error != 0)
        return error;
    if (sqlite3_changes(queue->db.handle) == 0)
        return -ENOENT;
    return queue_rows_delete(queue, blame->id, blame->id, "dead-letter a message");
}

int queue_dead_letter(struct queue *queue, int64_t id, unsigned attempts, int status, const char *reason,
                      const char *error, int64_t wall_ms)
{
    struct blame blame = {.id = id,
                          .attempts = attempts,
                          .status = status,
                          .error = error,
                          .event = reason,
                          .wall_ms = wall_ms};
    return queue_transaction(queue, DB_LAZY, move_to_dead, &blame);
}

/* A dead letter becomes a message again, with no attempts. */
static int move_back(struct queue *queue, void *context)
{
    const int64_t id = *(const int64_t *)context;
    int error = queue_run(queue, Q_RETURN, id, 0, "return a dead letter");
    if (error == 0 && sqlite3_changes(queue->db.handle) == 0)
        return -ENOENT;
    if (error == 0)
        error = queue_run(queue, Q_DELETE_DEAD, id, 0, "return a dead letter");
    if (error == 0)
        queue_count_returned(queue, id);
    return error;
}

int queue_return(struct queue *queue, int64_t id)
{
    int error = queue_transaction(queue, DB_LAZY, move_back, &id);
    if (error == 0)
        queue->edition++;
    return error;
}
