/* queue/dropped.h - what limits dropped, inside the queue. */
#ifndef SLUICE_QUEUE_DROPPED_H
#define SLUICE_QUEUE_DROPPED_H

#include "queue/tx.h"

/* In an open transaction: counts a row that was deleted. bytes: of its payload. */
int queue_count_dropped_row(struct queue *queue, enum queue_reason reason, const char *route, size_t bytes);
void queue_drop_ended(struct queue *queue, const struct queue_end *end);
/* Logs what was dropped, once a minute, and when that is over. */
void queue_drop_report(struct queue *queue);

#endif
