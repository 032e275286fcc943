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
