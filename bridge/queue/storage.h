/* queue/storage.h - whether the storage works, inside the queue. */
#ifndef SLUICE_QUEUE_STORAGE_H
#define SLUICE_QUEUE_STORAGE_H

#include "queue/tx.h"

void queue_storage_ended(struct queue *queue, const struct queue_end *end);
/* Sets the problem "storage". */
void queue_storage_problem_set(struct queue *queue);
/* Bounded steps: makes the reserve again when the disk has space; gives free pages of the
 * file back to the disk. quiet: nothing else is going on. */
int queue_reserve_make(struct queue *queue);
int queue_free_pages_give_back(struct queue *queue, bool quiet);

#endif
