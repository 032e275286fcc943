/* queue/limits.h - how full the queue is, inside the queue. */
#ifndef SLUICE_QUEUE_LIMITS_H
#define SLUICE_QUEUE_LIMITS_H

#include "queue/internal.h"

extern const char *const queue_reasons[REASONS];

bool queue_drops_oldest(const struct queue *queue); /* when_full = drop-oldest */
void queue_limits_measure(struct queue *queue);
/* A message with a payload of this size was stored: there is less room. */
void queue_limits_appended(struct queue *queue, size_t bytes);
/* How many more messages max_messages allows; negative: too many are there. */
int64_t queue_messages_room(const struct queue *queue);
int64_t queue_disk_free(const struct queue *queue);
/* How many bytes must go so that the queue is not nearly full, by max_size and min_free. While the disk
 * is full: so that the reserve can be made again too. As last measured, plus what was stored since. */
int64_t queue_limits_lack(const struct queue *queue);
/* "max_size 1G", as configured. The text is valid until the next call. */
const char *queue_limit_text(const struct queue *queue, enum queue_reason reason);
/* Sets the problem "full": which limit is reached, and what follows. */
void queue_limits_problem_set(struct queue *queue);

#endif
