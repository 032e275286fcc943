/* queue/readers.h - readers that keep the write-ahead log from starting again. */
#ifndef SLUICE_QUEUE_READERS_H
#define SLUICE_QUEUE_READERS_H

#include "queue/internal.h"

/* Outside of transactions, about once a second: shrinks the write-ahead log when it is too
 * long, and reports the readers that prevent it. */
void queue_readers_step(struct queue *queue);
/* Which other processes have the lock for writing; the caller frees it. */
char *queue_writers_text(const struct queue *queue);

#endif
