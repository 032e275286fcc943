/* queue/claims.h - messages in flight, inside the queue. */
#ifndef SLUICE_QUEUE_CLAIMS_H
#define SLUICE_QUEUE_CLAIMS_H

#include "queue/internal.h"

/* The claim that has this message, or NULL. */
struct queue_claim *queue_claim_find(const struct queue *queue, int64_t id);

#endif
