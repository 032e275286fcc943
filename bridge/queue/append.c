/* queue/append.c - messages on their way in: begin, append, commit.
 *
 * One commit is shared by everything that happened since the last one: the
 * messages that an edge appended, and the deletes of what was delivered
 * meanwhile.
 */
#include "base/fault.h"
#include "message/body.h"
#include "queue/internal.h"

#include <errno.h>
#include <stdio.h>

/* So many ids are confirmed before that is written down, for each time costs a
 * page. Far fewer than there are packet identifiers: a row that is found after a
 * crash, and not known to be confirmed, must be the last one that had its own. */
enum { CONFIRMED_MOST = 4096 };

int queue_begin(struct queue *queue)
{
    queue->append_error = 0;
    queue->appended = 0;
    queue->device_saved = false;
    int error = db_begin(&queue->db, DB_SYNC);
    if (error != 0)
        queue_transaction_ended(queue, DB_SYNC, false, error);
    return error;
}

int queue_append(struct queue *queue, const struct message *message, int64_t *ret_id)
{
    int64_t id = queue->next_id++;
    sqlite3_stmt *statement = queue->statements[Q_APPEND];
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, queue->run);
    queue_bind_text(statement, 3, message->route);
    queue_bind_text(statement, 4, message->topic);
    sqlite3_bind_int64(statement, 5, message->uptime_ms);
    queue_bind_text(statement, 6, message->source);
    queue_bind_text(statement, 7, message->method);
    queue_bind_text(statement, 8, message->target);
    queue_bind_text(statement, 9, message->content_type);
    if (message->packet_id != 0)
        sqlite3_bind_int(statement, 10, message->packet_id);
    if (message->late)
        sqlite3_bind_int64(statement, 11, queue->clock.drained_ms);
    /* A zero-length blob needs a pointer that is not NULL. */
    sqlite3_bind_blob64(statement, 12, message->payload_bytes > 0 ? message->payload : "",
                        message->payload_bytes, SQLITE_STATIC);
    queue_bind_text(statement, 13, message->idempotency_key);
    int error = db_run(&queue->db, statement, "store a message");
    sqlite3_clear_bindings(statement);
    if (error != 0) {
        queue->append_error = error;
        return error;
    }
    queue->appended++;
    queue_limit_appended(queue, message->payload_bytes);
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
    snprintf(key, MESSAGE_KEY_BYTES, "%s-%lld", queue->token, (long long)id);
}

int queue_commit(struct queue *queue)
{
    if (queue->appended == 0 && !queue->device_saved && !queue->limits.counted && queue->append_error == 0) {
        queue_rollback(queue); /* nothing is worth a sync */
        return 0;
    }
    int64_t confirmed = queue->confirmed;
    bool note = queue->note_due || confirmed - queue->confirmed_written >= CONFIRMED_MOST;
    int error = queue->append_error != 0 ? queue->append_error : queue_delete_settled(queue, NULL);
    if (error == 0 && note)
        error = queue_write_confirmed(queue, NULL);
    if (error == 0 && fault_fails("queue.commit"))
        error = -EIO;
    if (error != 0) {
        queue->append_error = error;
        queue_rollback(queue);
        return error;
    }
    error = db_commit(&queue->db);
    if (error == 0) {
        queue->settled.count = 0;
        if (note)
            queue->confirmed_written = confirmed;
        queue->note_due = false;
        if (queue->limits.delivered_deleted)
            queue->unconfirmed.count = 0;
        queue->last_id = queue->next_id - 1;
    }
    queue_transaction_ended(queue, DB_SYNC, error == 0, error);
    return error;
}

void queue_rollback(struct queue *queue)
{
    db_rollback(&queue->db);
    queue_transaction_ended(queue, DB_SYNC, false, queue->append_error);
    queue->append_error = 0;
}

static int touch_run(struct queue *queue, void *unused)
{
    (void)unused;
    if (fault_fails("queue.trial"))
        return -EIO;
    sqlite3_bind_int64(queue->statements[Q_TOUCH_RUN], 1, queue->run);
    return db_run(&queue->db, queue->statements[Q_TOUCH_RUN], "try a commit");
}

int queue_trial_commit(struct queue *queue)
{
    return queue_transaction(queue, DB_SYNC, touch_run, NULL);
}
