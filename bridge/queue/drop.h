/* queue/drop.h - what limits drop, inside the queue. */
#ifndef SLUICE_QUEUE_DROP_H
#define SLUICE_QUEUE_DROP_H

#include "queue/tx.h"

/* A row that may be dropped. */
struct victim {
    int64_t id;
    char *route;
    size_t bytes;
};
/* In a transaction: drops a message, and counts it. */
int queue_drop_message(struct queue *queue, enum queue_reason reason, const struct victim *victim);
/* The age of a row of Q_AGES or Q_EXPIRIES in ms; negative: not known. */
int64_t queue_row_age_ms(struct queue *queue, sqlite3_stmt *row);

/* Drops what is too old, and what is too much since limits were lowered: a bounded step. */
int queue_drop_step(struct queue *queue);

#endif
