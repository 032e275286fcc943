/* queue/session.c - the session at the broker, as far as it must be remembered. It changes seldom;
 * each change is a commit that syncs. */
#include "queue/tx.h"

#include <errno.h>

int queue_session(struct queue *queue, const char *client_id, const char *broker, struct queue_session *ret)
{
    sqlite3_stmt *row = queue->statements[Q_SESSION];
    queue_bind_text(row, 1, client_id);
    queue_bind_text(row, 2, broker);
    int code = db_step(row, "iiIII");
    if (code == SQLITE_ROW)
        *ret = (struct queue_session){.protocol = sqlite3_column_int(row, 0),
                                      .reuses_ids = sqlite3_column_int(row, 1) != 0,
                                      .lost_since_ms = sqlite3_column_int64(row, 2),
                                      .lost_until_ms = sqlite3_column_int64(row, 3),
                                      .expiry_s = sqlite3_column_int64(row, 4)};
    int error = code == SQLITE_DONE ? -ENOENT : db_result(&queue->db, code, "read the session");
    sqlite3_reset(row);
    return error;
}

static int put(struct queue *queue, const char *client_id, const struct queue_session *session)
{
    sqlite3_stmt *statement = queue->statements[Q_SESSION_SAVE];
    queue_bind_text(statement, 1, client_id);
    sqlite3_bind_int(statement, 2, session->protocol);
    sqlite3_bind_int(statement, 3, session->reuses_ids);
    sqlite3_bind_int64(statement, 4, session->lost_since_ms);
    sqlite3_bind_int64(statement, 5, session->lost_until_ms);
    sqlite3_bind_int64(statement, 6, session->expiry_s);
    queue_bind_text(statement, 7, session->broker);
    return db_run(&queue->db, statement, "store the session");
}

static int use(struct queue *queue, void *context)
{
    sqlite3_stmt *statement = queue->statements[Q_SESSION_USE];
    const char *const *client_id = context;
    queue_bind_text(statement, 1, *client_id);
    sqlite3_bind_int64(statement, 2, queue_now_ms(queue));
    return db_run(&queue->db, statement, "note which session is in use");
}

int queue_session_use(struct queue *queue, const char *client_id)
{
    return queue_transaction(queue, DB_LAZY, use, &client_id);
}

void queue_session_put(struct queue *queue, const char *client_id, const struct queue_session *session)
{
    int error = put(queue, client_id, session);
    if (error != 0)
        queue_tx_fail(queue, error);
}

struct save {
    const char *client_id;
    const struct queue_session *session;
};

static int save(struct queue *queue, void *context)
{
    const struct save *what = context;
    return put(queue, what->client_id, what->session);
}

int queue_session_save(struct queue *queue, const char *client_id, const struct queue_session *session)
{
    struct save what = {.client_id = client_id, .session = session};
    return queue_transaction(queue, DB_SYNC, save, &what);
}
