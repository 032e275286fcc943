/* queue/blame.c - messages that are themselves at fault: attempts, dead letters.
 *
 * None of this needs a sync of its own: when it is lost in a power cut, the
 * message is tried once more and judged again.
 */
#include "message/history.h"
#include "queue/internal.h"
#include "queue/queue.h"

#include <errno.h>

struct blame {
    int64_t id;
    unsigned attempts;
    int status;
    const char *error;
    const char *event; /* why it is set aside, or that it failed */
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

static int note_blame(struct queue *queue, void *context)
{
    bind_blame(queue->statements[Q_BLAME], context);
    return db_run(&queue->db, queue->statements[Q_BLAME], "note a failed attempt");
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
    return queue_transaction(queue, DB_LAZY, note_blame, &blame);
}

static int move_to_dead(struct queue *queue, void *context)
{
    const struct blame *blame = context;
    sqlite3_stmt *bury = queue->statements[Q_BURY];
    bind_blame(bury, blame);
    int error = db_run(&queue->db, bury, "set a message aside");
    if (error != 0)
        return error;
    if (sqlite3_changes(queue->db.handle) == 0)
        return -ENOENT;
    return queue_delete(queue, blame->id, blame->id, "set a message aside");
}

int queue_bury(struct queue *queue, int64_t id, unsigned attempts, int status, const char *reason,
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
