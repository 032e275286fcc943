/* queue/external_changes.c - what other processes did to the queue: a person retried or dropped
 * messages. */
#include "queue/external_changes.h"
#include "base/log.h"
#include "queue/tx.h"

static int read_row(struct queue *queue, int64_t *ret_from)
{
    sqlite3_stmt *statement = queue->statements[Q_RESCAN];
    int code = db_step(statement, "i");
    *ret_from = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    int error = db_result(&queue->db, code, "read which messages were retried");
    sqlite3_reset(statement);
    return error;
}

static int take_row(struct queue *queue, void *context)
{
    int error = read_row(queue, context);
    return error != 0 ? error : queue_run(queue, Q_RESCAN_DELETE, 0, 0, "forget which messages were retried");
}

static int64_t count_dropped(struct queue *queue)
{
    sqlite3_stmt *statement = queue->statements[Q_DROPPED_BY_HAND];
    int64_t count = db_step(statement, "i") == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_reset(statement);
    return count;
}

void queue_external_changes_begin(struct queue *queue)
{
    queue->external.dropped = count_dropped(queue);
}

/* Called when no more changes come: a command makes many small transactions. */
static void report(struct queue *queue)
{
    struct external *external = &queue->external;
    int64_t dropped = external->changed ? count_dropped(queue) : -1;
    if (external->retried)
        log_notice(EVENT_DEAD_LETTERS_RETURNED, "messages are delivered again (sluice queue retry)");
    if (dropped > external->dropped && external->dropped >= 0)
        log_notice(EVENT_MESSAGES_DROPPED_BY_HAND, "%lld messages (sluice queue drop)",
                   (long long)(dropped - external->dropped));
    if (dropped >= 0)
        external->dropped = dropped;
    external->changed = external->retried = false;
}

/* Where the lock is held, or the row cannot be read, the next call takes it. */
int64_t queue_rescan_take(struct queue *queue)
{
    struct external *external = &queue->external;
    queue_refresh(queue);
    int64_t version = queue->data_version, from = 0;
    if (version == external->version) {
        report(queue);
        return 0;
    }
    if (read_row(queue, &from) != 0 || (from != 0 && queue_transaction(queue, DB_LAZY, take_row, &from) != 0))
        return 0;
    external->version = version;
    external->changed = true;
    external->retried |= from != 0;
    return from;
}
