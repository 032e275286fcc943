/* queue/settle.h - delivered messages, inside the queue. What the queue's users call is in
 * queue/queue.h. */
#ifndef SLUICE_QUEUE_SETTLE_H
#define SLUICE_QUEUE_SETTLE_H

#include "queue/tx.h"

/* In a transaction: deletes the rows of delivered messages that may be deleted, at most the
 * `most` oldest. They leave the list when it is committed. */
int queue_settled_delete(struct queue *queue, size_t most);
/* In a transaction: deletes the rows of all delivered messages. */
int queue_delivered_delete(struct queue *queue);
void queue_settle_ended(struct queue *queue, const struct queue_end *end);
/* The lowest id that is not delivered; INT64_MAX: nothing waits, or the lowest row is of a
 * delivered message. */
int64_t queue_oldest_waiting(struct queue *queue);

#endif
