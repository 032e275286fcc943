/* queue/sql.h - the statements of the queue, prepared when it is opened. */
#ifndef SLUICE_QUEUE_SQL_H
#define SLUICE_QUEUE_SQL_H

enum queue_statement {
    Q_APPEND,
    Q_FIND_REPEATED,
    Q_DELETE,
    Q_SCAN,
    Q_COPY,
    Q_FETCH,
    Q_VERSION,
    Q_RUN,
    Q_UNCONFIRMED,
    Q_FINGERPRINTS_KEEP,
    Q_FINGERPRINTS_DELETE,
    Q_BLAME,
    Q_DEAD_LETTER,
    Q_RUNS_PRUNE_OLD,
    Q_RUNS_PRUNE_NEW,
    Q_TOUCH_RUN,
    Q_CONFIRMED,
    Q_OLDEST_ID,
    Q_DRAINED,
    Q_SUBSCRIPTIONS,
    Q_SUBSCRIPTION_ADD,
    Q_SUBSCRIPTION_GRANT,
    Q_SUBSCRIPTION_REFUSE,
    Q_SUBSCRIPTION_VANISH,
    Q_SUBSCRIPTION_UNSUBSCRIBED,
    Q_PAGE_SIZE,
    Q_PAGE_COUNT,
    Q_FREE_PAGES,
    Q_COUNT,
    Q_OLDEST,
    Q_OLDEST_DEAD,
    Q_DELETE_DEAD,
    Q_AGES,
    Q_DROPPED,
    Q_PROBLEM,
    Q_PROBLEM_OVER,
    Q_NO_PROBLEMS,
    Q_RESCAN,
    Q_RESCAN_DELETE,
    Q_DROPPED_BY_HAND,
    Q_DEVICE,
    Q_DEVICE_SAVE,
    Q_DEVICES_PRUNE,
    Q_STATEMENTS
};

/* The text of each statement. A test checks their query plans. */
extern const char *const queue_statement_sql[Q_STATEMENTS];

#endif
