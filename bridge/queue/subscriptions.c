/* queue/subscriptions.c - the topic filters that the broker has for us.
 *
 * Subscriptions outlive our restarts, so their filters and identifiers are stored. Identifiers
 * grow, and none is used again, so they show which of two filters was subscribed to first. A
 * filter that returns gets a new one. Changes are rare; each is a commit that syncs.
 */
#include "queue/tx.h"

int queue_subscriptions(struct queue *queue, queue_subscription_fn *visit, void *context)
{
    sqlite3_stmt *row = queue->statements[Q_SUBSCRIPTIONS];
    int code;
    while ((code = db_step(row, "tiiIii")) == SQLITE_ROW) {
        struct subscription subscription = {
            .filter = (const char *)sqlite3_column_text(row, 0),
            .identifier = (uint32_t)sqlite3_column_int64(row, 1),
            .granted = sqlite3_column_int(row, 2) != 0,
            .vanished = sqlite3_column_type(row, 3) != SQLITE_NULL,
            .covered_to = (uint32_t)sqlite3_column_int64(row, 3),
            .unsubscribed = sqlite3_column_int(row, 4) != 0,
            .matched = sqlite3_column_int(row, 5) != 0,
        };
        visit(context, &subscription);
    }
    int error = db_result(&queue->db, code, "read the subscriptions");
    sqlite3_reset(row);
    return error;
}

struct change {
    enum queue_statement statement;
    const char *filter;
};

static int change(struct queue *queue, void *context)
{
    const struct change *what = context;
    sqlite3_stmt *statement = queue->statements[what->statement];
    queue_bind_text(statement, 1, what->filter);
    return db_run(&queue->db, statement, "store a subscription");
}

static int change_subscription(struct queue *queue, enum queue_statement statement, const char *filter)
{
    struct change what = {.statement = statement, .filter = filter};
    return queue_transaction(queue, DB_SYNC, change, &what);
}

int queue_subscription_add(struct queue *queue, const char *filter)
{
    return change_subscription(queue, Q_SUBSCRIPTION_ADD, filter);
}

int queue_subscription_grant(struct queue *queue, const char *filter, bool granted)
{
    return change_subscription(queue, granted ? Q_SUBSCRIPTION_GRANT : Q_SUBSCRIPTION_REFUSE, filter);
}

int queue_subscription_matched(struct queue *queue, const char *filter)
{
    return change_subscription(queue, Q_SUBSCRIPTION_MATCHED, filter);
}

int queue_subscription_vanish(struct queue *queue, const char *filter)
{
    return change_subscription(queue, Q_SUBSCRIPTION_VANISH, filter);
}

int queue_subscription_unsubscribed(struct queue *queue, const char *filter)
{
    return change_subscription(queue, Q_SUBSCRIPTION_UNSUBSCRIBED, filter);
}
