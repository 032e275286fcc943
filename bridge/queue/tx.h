/* queue/tx.h - transactions of the queue, and small helpers for its statements.
 *
 * Files that count or remember what a transaction does learn here how it ended: queue/open.c
 * gives the list of their functions (queue_ended_fn), and each of them is called at the
 * end of every transaction, also of one that could not begin.
 */
#ifndef SLUICE_QUEUE_TX_H
#define SLUICE_QUEUE_TX_H

#include "queue/internal.h"

struct queue_end {
    enum db_sync sync;
    bool committed;
    int error; /* why it was rolled back; 0: nothing went wrong */
};
typedef void queue_ended_fn(struct queue *queue, const struct queue_end *end);

/* queue_tx_begin takes the write lock, without waiting: 0 or -EBUSY etc. On failure of
 * queue_tx_commit the transaction is rolled back. */
int queue_tx_begin(struct queue *queue, enum db_sync sync);
int queue_tx_commit(struct queue *queue);
void queue_tx_rollback(struct queue *queue, int error);
/* Remembers that a statement failed, and the first error, so that the open transaction cannot be
 * committed any more. Returns error. */
int queue_tx_fail(struct queue *queue, int error);

/* Calls work in a transaction of its own, and commits when it returns 0. */
typedef int queue_work_fn(struct queue *queue, void *context);
int queue_transaction(struct queue *queue, enum db_sync sync, queue_work_fn *work, void *context);

int queue_bind_text(sqlite3_stmt *statement, int column, const char *text); /* NULL: null */
/* Runs a statement that returns no rows, with two numbers for its parameters ?1 and ?2; it may
 * have fewer. doing is for the log: "cannot DO". */
int queue_run(struct queue *queue, enum queue_statement which, int64_t first, int64_t second,
              const char *doing);
/* The first column of the first row; 0 where there is none, or it cannot be read. */
int64_t queue_number(struct queue *queue, enum queue_statement which);

#endif
