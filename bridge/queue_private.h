/* queue_private.h - what the files of the queue share; nobody else includes it. */
#ifndef SLUICE_QUEUE_PRIVATE_H
#define SLUICE_QUEUE_PRIVATE_H

#include "db.h"
#include "queue.h"

enum queue_statement {
    Q_APPEND,
    Q_DELETE,
    Q_SCAN,
    Q_FETCH,
    Q_VERSION,
    Q_RUN,
    Q_PACKETS,
    Q_BLAME,
    Q_BURY,
    Q_TOUCH_RUN,
    Q_END_RUN,
    Q_SUBSCRIPTIONS,
    Q_SUBSCRIPTION_ADD,
    Q_SUBSCRIPTION_GRANT,
    Q_SUBSCRIPTION_REFUSE,
    Q_SUBSCRIPTION_VANISH,
    Q_SUBSCRIPTION_UNSUBSCRIBED,
    Q_STATEMENTS
};

struct ids {
    int64_t *ids;
    size_t count, capacity;
    int64_t highest; /* at least as high as each of them */
};

/* A row of the table `run`. */
struct run {
    int64_t id;
    char token[17];
    bool this_boot;
    int64_t epoch_ms;
    bool synchronised;
};

struct queue {
    struct db db;
    int lock_fd;            /* held with flock(2) while open */
    int64_t run;            /* run.id of this opening */
    int64_t next_id;        /* never goes back, not even after a failed commit: its
                           rows may be on disk all the same, and a key must never
                           name two messages */
    int64_t last_id;        /* highest id committed */
    unsigned appended;      /* in the open transaction */
    struct run known_run;   /* the last one that was read; id 0: none */
    int64_t data_version;   /* changes when another process commits */
    uint64_t edition;       /* changes when stored rows do, other than by delivery: copies are stale */
    bool append_failed;     /* the open transaction must be rolled back */
    int64_t confirmed;      /* ids up to here will not be sent to us again */
    struct ids settled;     /* delivered, to be deleted */
    struct ids unconfirmed; /* delivered, to be deleted once they are confirmed */
    sqlite3_stmt *statements[Q_STATEMENTS];
};

/* Runs f inside a transaction of its own. */
typedef int queue_work_fn(struct queue *queue, void *context);
int queue_transaction(struct queue *queue, enum db_sync sync, queue_work_fn *work, void *context);

/* Inside a transaction: deletes the messages from first to last. */
int queue_delete(struct queue *queue, int64_t first, int64_t last, const char *doing);
/* Inside a transaction: deletes all that is settled (the list stays). */
int queue_delete_settled(struct queue *queue, void *unused);

int queue_bind_text(sqlite3_stmt *statement, int column, const char *text); /* NULL: null */

#endif
