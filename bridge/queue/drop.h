/* queue/drop.h - what limits drop, inside the queue. */
#ifndef SLUICE_QUEUE_DROP_H
#define SLUICE_QUEUE_DROP_H

#include "queue/tx.h"

/* Drops what is too old, and what is too much since limits were lowered: a bounded step. */
int queue_drop_step(struct queue *queue);

#endif
