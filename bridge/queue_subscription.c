/* queue_subscription.c - the topic filters that the broker holds for us.
 *
 * Subscriptions outlive our restarts, so the filters and their identifiers are
 * remembered: a filter keeps its identifier, by which the broker names the
 * copies of messages that wait in the session, and no identifier is ever given
 * to another filter.
 */
#include "queue.h"
#include "queue_private.h"

#include <errno.h>

enum { HIGHEST_IDENTIFIER = 268435455 };

int queue_subscriptions(struct queue *queue, queue_subscription_fn *visit, void *context)
{
    sqlite3_stmt *statement = queue->statements[Q_SUBSCRIPTIONS];
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        visit(context, (const char *)sqlite3_column_text(statement, 0),
              (uint32_t)sqlite3_column_int64(statement, 1));
    int error = db_result(&queue->db, code, "read the subscriptions");
    sqlite3_reset(statement);
    return error;
}

static int64_t column_or_zero(sqlite3_stmt *statement)
{
    int64_t number = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return number;
}

struct subscription {
    const char *filter;
    int64_t identifier;
};

static int add(struct queue *queue, void *context)
{
    struct subscription *subscription = context;
    subscription->identifier = column_or_zero(queue->statements[Q_SUBSCRIPTION_NEXT]);
    if (subscription->identifier < 1 || subscription->identifier > HIGHEST_IDENTIFIER)
        return -ENOSPC;
    sqlite3_stmt *statement = queue->statements[Q_SUBSCRIPTION_ADD];
    queue_bind_text(statement, 1, subscription->filter);
    sqlite3_bind_int64(statement, 2, subscription->identifier);
    int error = db_run(&queue->db, statement, "note a subscription");
    if (error != 0)
        return error;
    /* One that was removed before comes back under its old identifier. */
    queue_bind_text(queue->statements[Q_SUBSCRIPTION_FIND], 1, subscription->filter);
    subscription->identifier = column_or_zero(queue->statements[Q_SUBSCRIPTION_FIND]);
    return 0;
}

int queue_subscription_add(struct queue *queue, const char *filter, uint32_t *ret_identifier)
{
    struct subscription subscription = {.filter = filter};
    queue_bind_text(queue->statements[Q_SUBSCRIPTION_FIND], 1, filter);
    subscription.identifier = column_or_zero(queue->statements[Q_SUBSCRIPTION_FIND]);
    if (subscription.identifier == 0) {
        int error = queue_transaction(queue, DB_SYNC, add, &subscription);
        if (error != 0)
            return error;
    }
    *ret_identifier = (uint32_t)subscription.identifier;
    return 0;
}

static int drop(struct queue *queue, void *context)
{
    struct subscription *subscription = context;
    sqlite3_stmt *statement = queue->statements[Q_SUBSCRIPTION_REMOVE];
    queue_bind_text(statement, 1, subscription->filter);
    return db_run(&queue->db, statement, "forget a subscription");
}

int queue_subscription_remove(struct queue *queue, const char *filter)
{
    struct subscription subscription = {.filter = filter};
    return queue_transaction(queue, DB_SYNC, drop, &subscription);
}
