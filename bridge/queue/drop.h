/* queue/drop.h - what limits drop, inside the queue. */
#ifndef SLUICE_QUEUE_DROP_H
#define SLUICE_QUEUE_DROP_H

#include "queue/tx.h"

void queue_drop_ended(struct queue *queue, const struct queue_end *end);
/* Drops what is too old, and what is too much since limits were lowered: a bounded step. */
int queue_drop_step(struct queue *queue);
/* Logs what was dropped, once a minute, and when that is over. */
void queue_drop_report(struct queue *queue);

#endif
