/* queue/session.c - the session at the broker, as far as it must be remembered. It changes seldom;
 * each change is a commit that syncs. */
#include "queue/tx.h"

#include <errno.h>

int queue_session(struct queue *queue, const char *client_id, struct queue_session *ret)
{
    sqlite3_stmt *row = queue->statements[Q_SESSION];
    queue_bind_text(row, 1, client_id);
    int code = db_step(row, "iII");
    if (code == SQLITE_ROW)
        *ret = (struct queue_session){.protocol = sqlite3_column_int(row, 0),
                                      .lost_since_ms = sqlite3_column_int64(row, 1),
                                      .lost_until_ms = sqlite3_column_int64(row, 2)};
    int error = code == SQLITE_DONE ? -ENOENT : db_result(&queue->db, code, "read the session");
    sqlite3_reset(row);
    return error;
}

struct save {
    const char *client_id;
    const struct queue_session *session;
};

static int save(struct queue *queue, void *context)
{
    const struct save *what = context;
    sqlite3_stmt *statement = queue->statements[Q_SESSION_SAVE];
    queue_bind_text(statement, 1, what->client_id);
    sqlite3_bind_int(statement, 2, what->session->protocol);
    sqlite3_bind_int64(statement, 3, what->session->lost_since_ms);
    sqlite3_bind_int64(statement, 4, what->session->lost_until_ms);
    return db_run(&queue->db, statement, "store the session");
}

int queue_session_save(struct queue *queue, const char *client_id, const struct queue_session *session)
{
    struct save what = {.client_id = client_id, .session = session};
    return queue_transaction(queue, DB_SYNC, save, &what);
}
