/* queue/external_changes.c - what a person did to the queue, in another process: dead letters
 * that are back, and what was dropped. */
#include "base/log.h"
#include "queue/internal.h"

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

static int64_t count_by_hand(struct queue *queue)
{
    sqlite3_stmt *statement = queue->statements[Q_BY_HAND];
    int64_t count = db_step(statement, "i") == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_reset(statement);
    return count;
}

void queue_by_hand_begin(struct queue *queue)
{
    queue->by_hand.dropped = count_by_hand(queue);
}

/* Once, when it is over: much is done in many small transactions. */
static void tell_by_hand(struct queue *queue)
{
    int64_t dropped = queue->by_hand.changed ? count_by_hand(queue) : -1;
    if (queue->by_hand.returned)
        log_notice(EVENT_DEAD_LETTERS_RETURNED, "dead letters are pending again (sluice queue retry)");
    if (dropped > queue->by_hand.dropped && queue->by_hand.dropped >= 0)
        log_notice(EVENT_MESSAGES_DROPPED_BY_HAND, "%lld messages (sluice queue drop)",
                   (long long)(dropped - queue->by_hand.dropped));
    if (dropped >= 0)
        queue->by_hand.dropped = dropped;
    queue->by_hand.changed = queue->by_hand.returned = false;
}

/* Where the row cannot be read, or taken away now, for the lock is held, the next call
 * does. */
int64_t queue_returned(struct queue *queue)
{
    queue_refresh(queue);
    int64_t version = queue->data_version, lowest = 0;
    if (version == queue->returned_version) {
        tell_by_hand(queue);
        return 0;
    }
    if (read_lowest(queue, &lowest) != 0 ||
        (lowest != 0 && queue_transaction(queue, DB_LAZY, take_lowest, &lowest) != 0))
        return 0;
    queue->returned_version = version;
    queue->by_hand.changed = true;
    queue->by_hand.returned |= lowest != 0;
    return lowest;
}
