/* queue/external_changes.h - what other processes did to the queue. */
#ifndef SLUICE_QUEUE_EXTERNAL_CHANGES_H
#define SLUICE_QUEUE_EXTERNAL_CHANGES_H

#include "queue/internal.h"

/* When the queue is opened: earlier changes are not reported. */
void queue_external_changes_begin(struct queue *queue);

#endif
