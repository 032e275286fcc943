/* queue/readers.h - readers that keep the write-ahead log from starting again. */
#ifndef SLUICE_QUEUE_READERS_H
#define SLUICE_QUEUE_READERS_H

#include "queue/internal.h"

/* Outside of transactions, about once a second: shrinks the write-ahead log when it is too
 * long, and reports the readers that prevent it. */
void queue_readers_step(struct queue *queue);

#endif
