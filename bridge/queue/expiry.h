/* queue/expiry.h - messages that expire, inside the queue. */
#ifndef SLUICE_QUEUE_EXPIRY_H
#define SLUICE_QUEUE_EXPIRY_H

#include "queue/tx.h"

/* Drops messages that expired: a bounded step, which goes round in the queue. */
int queue_expire_step(struct queue *queue);

#endif
