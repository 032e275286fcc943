/* queue_returned.c - dead letters that a person brought back, in another process. */
#include "queue_private.h"

/* 0: nothing came back. */
static int read_lowest(struct queue *queue, int64_t *ret)
{
    sqlite3_stmt *statement = queue->statements[Q_RETURNED];
    int code = db_step(statement, "i");
    *ret = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    int error = db_result(&queue->db, code, "see what came back");
    sqlite3_reset(statement);
    return error;
}

static int take_lowest(struct queue *queue, void *context)
{
    int error = read_lowest(queue, context);
    return error != 0 ? error
                      : db_run(&queue->db, queue->statements[Q_RETURNED_OVER], "note that it was seen");
}

/* Where the row cannot be read, or taken away now, for the lock is held, the next call
 * does. */
int64_t queue_returned(struct queue *queue)
{
    queue_refresh(queue);
    int64_t version = queue->data_version, lowest = 0;
    if (version == queue->returned_version || read_lowest(queue, &lowest) != 0)
        return 0;
    if (lowest != 0 && queue_transaction(queue, DB_LAZY, take_lowest, &lowest) != 0)
        return 0;
    queue->returned_version = version;
    return lowest;
}
