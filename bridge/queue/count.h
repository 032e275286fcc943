/* queue/count.h - how many rows the tables `message` and `dead_letter` have, kept exact
 * (queue/count.c). */
#ifndef SLUICE_QUEUE_COUNT_H
#define SLUICE_QUEUE_COUNT_H

#include "queue/tx.h"

/* About how many bytes a row takes; bytes: of its payload, and of its texts where these are known. */
int64_t queue_row_bytes(size_t bytes);
/* A bounded step of counting, where that is due. */
void queue_count_step(struct queue *queue);
/* Messages; those of the open transaction included. Exact once queue->count.known. */
int64_t queue_count_rows(const struct queue *queue);
/* Likewise dead letters, exact once queue->dead.known, and too few before. */
struct amount queue_count_dead(const struct queue *queue);
/* In a transaction: a row was added. */
void queue_count_appended(struct queue *queue);
/* The same with the id of a dead letter, which may be lower than others. */
void queue_count_returned(struct queue *queue, int64_t id);
/* In a transaction: deletes the messages from first to last. Those that are not confirmed leave
 * fingerprints (queue/confirm.h). */
int queue_rows_delete(struct queue *queue, int64_t first, int64_t last, const char *doing);
/* The same with a message that is a dead letter now. */
int queue_row_delete_moved(struct queue *queue, int64_t id, const char *doing);
/* In a transaction: a dead letter was added; and deletes one, if it exists. */
int queue_dead_added(struct queue *queue, int64_t id);
int queue_dead_delete(struct queue *queue, int64_t id, const char *doing);
void queue_count_ended(struct queue *queue, const struct queue_end *end);

#endif
