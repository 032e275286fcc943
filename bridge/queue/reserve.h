/* queue/reserve.h - a file that keeps space for a full disk.
 *
 * A delete needs space first: SQLite writes the changed pages to its write-ahead log before it
 * can free any. On a full disk nothing could be deleted, so no delivery could be completed.
 * For that, a file "<queue>-reserve" is beside the queue. When the disk is full, the file is
 * removed; its space is enough to delete, commit and make a checkpoint. Its bytes are random
 * enough that no file system stores them as a hole or compresses them.
 */
#ifndef SLUICE_QUEUE_RESERVE_H
#define SLUICE_QUEUE_RESERVE_H

#include "base/base.h"
#include <stdbool.h>

enum { QUEUE_RESERVE_BYTES = 8 * 1024 * 1024 }; /* twice the limit of the write-ahead log (db/db.c) */

struct queue_reserve;

/* Finds out whether the file is complete from an earlier run. Never fails. */
struct queue_reserve *queue_reserve_new(const char *queue_path);
void queue_reserve_free(struct queue_reserve *reserve); /* the file stays; takes NULL */

bool queue_reserve_is_made(const struct queue_reserve *reserve);
/* How many bytes it still needs from the disk. */
int64_t queue_reserve_lacks(const struct queue_reserve *reserve);
/* Writes a part of it, and in the end syncs it. 0, or -Exxx of write(2); then it is
 * removed. */
int queue_reserve_step(struct queue_reserve *reserve);
/* Gives its space to the queue. Returns whether it had any. */
bool queue_reserve_remove(struct queue_reserve *reserve);

#endif
