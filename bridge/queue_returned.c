/* queue_returned.c - dead letters that a person brought back, in another process. */
#include "queue_private.h"

static int64_t read_lowest(struct queue *queue)
{
    sqlite3_stmt *statement = queue->statements[Q_RETURNED];
    int code = db_step(statement, "i");
    int64_t lowest = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    db_result(&queue->db, code, "see what came back");
    sqlite3_reset(statement);
    return lowest;
}

static int take_lowest(struct queue *queue, void *context)
{
    *(int64_t *)context = read_lowest(queue);
    return db_run(&queue->db, queue->statements[Q_RETURNED_OVER], "note that it was seen");
}

/* Where the row cannot be taken away now, for the lock is held, the next call does. */
int64_t queue_returned(struct queue *queue)
{
    queue_refresh(queue);
    int64_t version = queue->data_version, lowest = 0;
    if (version == queue->returned_version)
        return 0;
    if (read_lowest(queue) != 0 && queue_transaction(queue, DB_LAZY, take_lowest, &lowest) != 0)
        return 0;
    queue->returned_version = version;
    return lowest;
}
