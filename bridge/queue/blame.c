/* queue/blame.c - messages that fail by their own fault: attempts, deferred messages, dead letters,
 * and the dead letters that return when their route is no longer held.
 *
 * This needs no sync of its own: if a power cut undoes it, the message is sent once more, and
 * fails again.
 */
#include "message/history.h"
#include "queue/count.h"
#include "queue/dead.h"
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
    sqlite3_stmt *statement = queue->statements[Q_IS_DEFERRED];
    sqlite3_bind_int64(statement, 1, id);
    bool is_ended = sqlite3_step(statement) == SQLITE_DONE;
    sqlite3_reset(statement);
    return !is_ended;
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
    error = queue_row_delete_moved(queue, blame->id, "dead-letter a message");
    if (error == 0)
        error = queue_dead_added(queue, blame->id);
    return error != 0 ? error : queue_dead_bound(queue);
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

int queue_dead_letter_now(struct queue *queue, int64_t id, const char *reason, const char *error)
{
    struct blame blame = {.id = id, .error = error, .event = reason, .wall_ms = queue_now_ms(queue)};
    int result = move_to_dead(queue, &blame);
    return result != 0 ? queue_tx_fail(queue, result) : 0;
}

static int note_seen(struct queue *queue, void *unused)
{
    (void)unused;
    return queue_run(queue, Q_DEAD_SEEN, 0, 0, "note that dead letters were listed");
}

int queue_dead_seen(struct queue *queue)
{
    return queue_transaction(queue, DB_LAZY, note_seen, NULL);
}

/* A dead letter becomes a message again, with no attempts. */
static int move_back(struct queue *queue, void *context)
{
    const int64_t id = *(const int64_t *)context;
    int error = queue_run(queue, Q_RETURN, id, 0, "return a dead letter");
    if (error == 0 && sqlite3_changes(queue->db.handle) == 0)
        return -ENOENT;
    if (error == 0)
        error = queue_dead_delete(queue, id, "return a dead letter");
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

/* ---- routes that are held ---- */

struct hold {
    const char *route;
    const int64_t *ids;
    size_t count;
};

static int write_hold(struct queue *queue, void *context)
{
    const struct hold *hold = context;
    sqlite3_stmt *statement = queue->statements[Q_HELD_DELETE];
    queue_bind_text(statement, 1, hold->route);
    int error = db_run(&queue->db, statement, "store that a route is held");
    statement = queue->statements[Q_HELD_ADD];
    for (size_t i = 0; i < hold->count && error == 0; i++) {
        sqlite3_bind_int64(statement, 1, hold->ids[i]);
        queue_bind_text(statement, 2, hold->route);
        error = db_run(&queue->db, statement, "store that a route is held");
    }
    return error;
}

int queue_hold_route(struct queue *queue, const char *route, const int64_t *ids, size_t count)
{
    struct hold hold = {.route = route, .ids = ids, .count = count};
    return queue_transaction(queue, DB_LAZY, write_hold, &hold);
}

int queue_held_each(struct queue *queue, queue_visit_held_fn *visit, void *context)
{
    sqlite3_stmt *row = queue->statements[Q_HELD];
    int code;
    while ((code = db_step(row, "it")) == SQLITE_ROW)
        visit(context, sqlite3_column_int64(row, 0), (const char *)sqlite3_column_text(row, 1));
    int error = db_result(&queue->db, code, "read which routes are held");
    sqlite3_reset(row);
    return error;
}
