/* queue/tx.c - see queue/tx.h. */
#include "queue/tx.h"
#include "queue/files.h"

#include <errno.h>

static void end(struct queue *queue, bool committed, int error)
{
    const struct queue_end end = {.sync = queue->tx.sync, .committed = committed, .error = error};
    queue->tx.error = 0;
    queue->tx.is_worth_a_sync = false;
    for (queue_ended_fn *const *ended = queue->tx.observers; *ended; ended++)
        (*ended)(queue, &end);
}

int queue_tx_begin(struct queue *queue, enum db_sync sync)
{
    queue->tx.sync = sync;
    int error = sync == DB_SYNC ? queue_files_look(queue) : 0;
    if (error == 0)
        error = db_begin(&queue->db, sync);
    if (error != 0)
        end(queue, false, error);
    return error;
}

/* Nothing is acknowledged that is in a file without a name. */
int queue_tx_commit(struct queue *queue)
{
    if (queue->tx.sync == DB_SYNC && queue_files_look(queue) != 0) {
        queue_tx_rollback(queue, -ESTALE);
        return -ESTALE;
    }
    int error = db_commit(&queue->db);
    end(queue, error == 0, error);
    return error;
}

void queue_tx_rollback(struct queue *queue, int error)
{
    db_rollback(&queue->db);
    end(queue, false, error);
}

int queue_tx_fail(struct queue *queue, int error)
{
    if (queue->tx.error == 0)
        queue->tx.error = error;
    return error;
}

int queue_transaction(struct queue *queue, enum db_sync sync, queue_work_fn *work, void *context)
{
    int error = queue_tx_begin(queue, sync);
    if (error != 0)
        return error;
    error = work(queue, context);
    if (error == 0)
        return queue_tx_commit(queue);
    queue_tx_rollback(queue, error);
    return error;
}

int queue_bind_text(sqlite3_stmt *statement, int column, const char *text)
{
    return sqlite3_bind_text(statement, column, text, -1, SQLITE_STATIC);
}

int queue_run(struct queue *queue, enum queue_statement which, int64_t first, int64_t second,
              const char *doing)
{
    sqlite3_stmt *statement = queue->statements[which];
    sqlite3_bind_int64(statement, 1, first);
    sqlite3_bind_int64(statement, 2, second);
    return db_run(&queue->db, statement, doing);
}

int64_t queue_number(struct queue *queue, enum queue_statement which)
{
    sqlite3_stmt *statement = queue->statements[which];
    int64_t number = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return number;
}
