/* queue/append.c - messages on their way in: begin, append, commit.
 *
 * One commit holds everything since the last one: the messages that were appended, and the
 * deletes of messages that were delivered meanwhile.
 */
#include "base/fault.h"
#include "db/columns.h"
#include "message/body.h"
#include "queue/clock.h"
#include "queue/confirm.h"
#include "queue/count.h"
#include "queue/ids.h"
#include "queue/limits.h"
#include "queue/settle.h"
#include "queue/tx.h"

#include <errno.h>
#include <stdio.h>

int queue_begin(struct queue *queue)
{
    return queue_tx_begin(queue, DB_SYNC);
}

int queue_append(struct queue *queue, const struct message *message, int64_t *ret_id)
{
    int64_t id = queue->next_id++;
    sqlite3_stmt *statement = queue->statements[Q_APPEND];
    columns_bind(statement, message, id, queue->run, queue->clock.drained_ms);
    int error = db_run(&queue->db, statement, "store a message");
    sqlite3_clear_bindings(statement);
    if (error != 0)
        return queue_tx_fail(queue, error);
    queue->tx.is_worth_a_sync = true;
    queue_count_appended(queue);
    queue_limits_appended(queue, message->payload_bytes);
    *ret_id = id;
    return 0;
}

int queue_find_repeated(struct queue *queue, const struct message *message, int64_t *ret_id)
{
    sqlite3_stmt *statement = queue->statements[Q_FIND_REPEATED];
    queue_bind_text(statement, 1, message->idempotency_key);
    queue_bind_text(statement, 2, message->route);
    queue_bind_text(statement, 3, message->topic);
    queue_bind_text(statement, 4, message->method);
    queue_bind_text(statement, 5, message->target);
    sqlite3_bind_int64(statement, 6, (sqlite3_int64)message->payload_bytes);
    int64_t id = 0;
    int code;
    while ((code = db_step(statement, "ib")) == SQLITE_ROW && id == 0)
        if (body_is_repeated(sqlite3_column_blob(statement, 1), (size_t)sqlite3_column_bytes(statement, 1),
                             message->payload, message->payload_bytes))
            id = sqlite3_column_int64(statement, 0);
    int error = code == SQLITE_ROW ? 0 : db_result(&queue->db, code, "look for a repeated request");
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    if (error != 0)
        return error;
    *ret_id = id;
    return 0;
}

void queue_key(const struct queue *queue, int64_t id, char key[static MESSAGE_KEY_BYTES])
{
    snprintf(key, MESSAGE_KEY_BYTES, "%s-%lld", queue->clock.token, (long long)id);
}

/* ---- copies ---- */

void queue_last_copies_set(struct queue *queue, const struct queue_copies *copies)
{
    uint8_t named[4 * QUEUE_COPIES_MOST];
    if (!copies) {
        int error = queue_run(queue, Q_LAST_COPIES_DELETE, 0, 0, "forget the copies of a message");
        if (error != 0)
            queue_tx_fail(queue, error);
        return;
    }
    for (unsigned i = 0; i < copies->named_count; i++)
        for (unsigned k = 0; k < 4; k++)
            named[4 * i + k] = (uint8_t)(copies->named[i] >> (24 - 8 * k));
    sqlite3_stmt *statement = queue->statements[Q_LAST_COPIES_SET];
    sqlite3_bind_int64(statement, 1, (int64_t)copies->digest);
    sqlite3_bind_blob(statement, 2, named, (int)(4 * copies->named_count), SQLITE_STATIC);
    int error = db_run(&queue->db, statement, "store the copies of a message");
    if (error != 0)
        queue_tx_fail(queue, error);
}

void queue_last_copies(struct queue *queue, struct queue_copies *ret)
{
    *ret = (struct queue_copies){.named_count = 0};
    sqlite3_stmt *row = queue->statements[Q_LAST_COPIES];
    if (db_step(row, "ib") == SQLITE_ROW) {
        const uint8_t *named = sqlite3_column_blob(row, 1);
        unsigned count = (unsigned)sqlite3_column_bytes(row, 1) / 4;
        ret->digest = (uint64_t)sqlite3_column_int64(row, 0);
        for (unsigned i = 0; i < count && i < QUEUE_COPIES_MOST; i++)
            for (unsigned k = 0; k < 4; k++)
                ret->named[i] = ret->named[i] << 8 | named[4 * i + k];
        ret->named_count = count < QUEUE_COPIES_MOST ? count : QUEUE_COPIES_MOST;
    }
    sqlite3_reset(row);
}

/* ---- commit ---- */

bool queue_stores(const struct queue *queue)
{
    return queue->tx.is_worth_a_sync || queue->tx.error != 0;
}

int queue_commit(struct queue *queue)
{
    int error = queue->tx.error;
    if (!queue_stores(queue)) {
        queue_tx_rollback(queue, 0);
        return 0;
    }
    if (error == 0)
        error = queue_settled_delete(queue, SIZE_MAX);
    if (error == 0)
        error = queue_drained_save(queue, false);
    if (error == 0 && queue_confirmed_is_due(queue))
        error = queue_confirmed_write(queue);
    if (error == 0 && queue_ids_are_due(queue))
        error = queue_ids_reserve(queue, queue->run, IDS_MOST);
    if (error == 0 && fault_fails("queue.commit"))
        error = -EIO;
    if (error != 0) {
        queue_tx_rollback(queue, error);
        return error;
    }
    error = queue_tx_commit(queue);
    if (error == 0)
        queue->last_id = queue->next_id - 1;
    return error;
}

void queue_rollback(struct queue *queue)
{
    queue_tx_rollback(queue, queue->tx.error);
}

static int touch_run(struct queue *queue, void *unused)
{
    (void)unused;
    if (fault_fails("queue.trial"))
        return -EIO;
    return queue_run(queue, Q_TOUCH_RUN, queue->run, 0, "try a commit");
}

int queue_trial_commit(struct queue *queue)
{
    return queue_transaction(queue, DB_SYNC, touch_run, NULL);
}
