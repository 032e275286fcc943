/* queue/expiry.c - messages that expire: MQTT 5 lets a sender say how long its message is worth
 * delivering (MQTT 5.0, section 3.3.2.3.3).
 *
 * The time that a message waited at the broker is not our concern: the broker subtracts it. An
 * expired message is dropped when its turn to be sent comes, and by a sweep that frees its
 * space earlier. While it is in flight it is not dropped. If its age is not known, because the
 * machine was restarted and a clock was not right, it does not expire.
 */
#include "queue/expiry.h"
#include "base/clock.h"
#include "queue/claims.h"
#include "queue/clock.h"
#include "queue/drop.h"

#include <errno.h>

enum { STEP_ROWS = 500 }; /* in a transaction */

bool queue_is_expired(struct queue *queue, const struct message *message)
{
    int64_t age_ms = message->expires_after_ms > 0 ? queue_age_ms(queue, message) : -1;
    return age_ms >= 0 && age_ms >= message->expires_after_ms;
}

struct expired {
    struct victim rows[STEP_ROWS];
    size_t count;
    int64_t cursor; /* the last message that was looked at */
    bool more;      /* there are others after it */
};

static int find_expired(struct queue *queue, struct expired *expired)
{
    sqlite3_stmt *statement = queue->statements[Q_EXPIRIES];
    sqlite3_bind_int64(statement, 1, expired->cursor);
    sqlite3_bind_int(statement, 2, STEP_ROWS);
    int code, rows = 0;
    while ((code = db_step(statement, "itiiTIIi")) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(statement, 0), age_ms = queue_row_age_ms(queue, statement);
        expired->cursor = id;
        rows++;
        if (age_ms >= 0 && age_ms >= sqlite3_column_int64(statement, 7) && !queue_claim_find(queue, id) &&
            !queue_is_settled(queue, id))
            expired->rows[expired->count++] =
                (struct victim){.id = id,
                                .route = xstrdup((const char *)sqlite3_column_text(statement, 1)),
                                .bytes = (size_t)sqlite3_column_int64(statement, 2)};
    }
    int error = db_result(&queue->db, code, "find messages that expired");
    sqlite3_reset(statement);
    expired->more = rows == STEP_ROWS;
    return error;
}

static int drop_expired(struct queue *queue, void *context)
{
    const struct expired *expired = context;
    int error = 0;
    for (size_t i = 0; i < expired->count && error == 0; i++)
        error = queue_drop_message(queue, REASON_EXPIRED, &expired->rows[i]);
    return error;
}

/* Looks at the messages after *cursor, and moves it. */
static int expire(struct queue *queue, int64_t *cursor)
{
    struct expired *expired = xcalloc(1, sizeof *expired);
    expired->cursor = *cursor;
    int error = find_expired(queue, expired);
    if (error == 0 && expired->count > 0)
        error = queue_transaction(queue, DB_LAZY, drop_expired, expired);
    if (error == 0)
        *cursor = expired->more ? expired->cursor : 0;
    for (size_t i = 0; i < expired->count; i++)
        free(expired->rows[i].route);
    free(expired);
    return error;
}

int queue_expire(struct queue *queue, int64_t id)
{
    int64_t cursor = id - 1;
    return expire(queue, &cursor);
}

int queue_expire_step(struct queue *queue)
{
    return expire(queue, &queue->drops.expiry_cursor);
}
