/* queue/ids.h - ids of messages. They grow, and never repeat in one database: a person may have
 * the id of a message of last week in a note, and it must not name another message now.
 *
 * The rows do not show which ids were used: the last ones may be delivered and deleted. So a run
 * reserves ids before it uses them (run.reserved_id), in transactions that happen anyway:
 *
 *     when a run begins                        | IDS_MOST more than were used
 *     with a commit that uses the last of them | IDS_MOST more
 *     when it ends                             | none more: the next run goes on with the next id
 *
 * After a crash, the ids that were reserved and not used are left out. Where the last run itself
 * is not known (the database is an older copy, or was damaged), IDS_LOST ids are.
 */
#ifndef SLUICE_QUEUE_IDS_H
#define SLUICE_QUEUE_IDS_H

#include "queue/tx.h"

enum { IDS_MOST = 4096, IDS_LOST = 1 << 20 };

/* In the transaction in which a run begins: finds the highest id of a row, and the next id, before
 * which so many are left out. */
int queue_ids_read(struct queue *queue, int64_t left_out);
/* In a transaction: reserves that many more for this run. */
int queue_ids_reserve(struct queue *queue, int64_t run, int64_t more);
/* Whether the open transaction used more than were reserved. */
bool queue_ids_are_due(const struct queue *queue);
void queue_ids_ended(struct queue *queue, const struct queue_end *end);

#endif
