/* queue/reserve.h - space on the disk that is kept for when there is none.
 *
 * Deleting takes space first: SQLite writes the pages that change to its
 * write-ahead log before it can free any. On a full disk nothing could ever be
 * deleted, and so nothing be delivered for good. So a file "<queue>-reserve" lies
 * beside the queue; when the disk is full it is removed, and what it took is enough
 * to delete, commit and make a checkpoint. Its bytes are random enough that no
 * file system stores them as a hole or compresses them away.
 */
#ifndef SLUICE_QUEUE_RESERVE_H
#define SLUICE_QUEUE_RESERVE_H

#include "base/base.h"
#include <stdbool.h>

enum { QUEUE_RESERVE_BYTES = 8 * 1024 * 1024 }; /* twice the limit of the write-ahead log (db/db.c) */

struct queue_reserve;

/* Looks whether it is there from an earlier run. Never fails. */
struct queue_reserve *queue_reserve_new(const char *queue_path);
void queue_reserve_free(struct queue_reserve *reserve); /* the file stays; takes NULL */

bool queue_reserve_is_made(const struct queue_reserve *reserve);
/* How many bytes it still wants from the disk. */
int64_t queue_reserve_lacks(const struct queue_reserve *reserve);
/* Writes a piece of it, and at last makes sure that it is on the disk. 0, or -Exxx
 * as write(2); then what was written is removed. */
int queue_reserve_step(struct queue_reserve *reserve);
/* Gives its space to the queue. Whether there was any. */
bool queue_reserve_remove(struct queue_reserve *reserve);

#endif
