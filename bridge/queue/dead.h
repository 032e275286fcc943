/* queue/dead.h - the bound of dead letters, inside the queue.
 *
 * Dead letters have a bound of their own, max_dead and max_dead_messages. A full queue drops them
 * before it holds or drops messages. So they never keep messages out.
 *
 * The oldest go first. Those that hold a route go last: they become messages again (the table
 * `held`).
 */
#ifndef SLUICE_QUEUE_DEAD_H
#define SLUICE_QUEUE_DEAD_H

#include "queue/tx.h"

/* The limit of dead letters that is exceeded, or REASONS. */
enum queue_reason queue_dead_exceeded(const struct queue *queue);
/* The queue is nearly full, and to drop dead letters would change that. As last measured. */
bool queue_dead_can_help(const struct queue *queue);
/* In an open transaction: drops and counts the oldest. held: also those that hold a route, if there
 * are no others. *ret_bytes: of its payload. -ENOENT: there is none. */
int queue_dead_drop(struct queue *queue, enum queue_reason reason, bool held, size_t *ret_bytes);
/* In an open transaction: drops what exceeds the limits of dead letters, a bounded number of them. */
int queue_dead_bound(struct queue *queue);

#endif
