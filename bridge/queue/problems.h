/* queue/problems.h - the table `problem`, inside the queue. */
#ifndef SLUICE_QUEUE_PROBLEMS_H
#define SLUICE_QUEUE_PROBLEMS_H

#include "queue/internal.h"

/* Writes what is not written yet. */
int queue_problems_write(struct queue *queue);
/* The table is another one now: all must be written again. */
void queue_problems_forget(struct queue *queue);
void queue_problems_free(struct queue *queue);

#endif
