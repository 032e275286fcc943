/* deliver/deferred.h - messages that failed alone while others passed.
 *
 * Such a message leaves its lane, which goes on, and is tried again by itself with its own
 * backoff. The queue has it in the column `deferred`, so a restart does not put it back into
 * its lane. Memory holds at most DEFERRED_MOST of them; others are read when there is room.
 */
#ifndef SLUICE_DELIVER_DEFERRED_H
#define SLUICE_DELIVER_DEFERRED_H

#include "deliver/internal.h"

/* Moves a message out of its lane; it is tried again after wait_ms. Takes over what is held
 * against it. 0, or -Exxx of the queue: then nothing changed. */
int deferred_add(struct deliver *deliver, struct lane *lane, int64_t id, int64_t wait_ms);
/* Puts an entry into its place after its time changed. */
void deferred_move(struct deliver *deliver, struct deferred *deferred, int64_t not_before_ms);
void deferred_remove(struct deliver *deliver, struct deferred *deferred);
/* The next one of the backend that may start, or NULL. busy: lanes have work that could start
 * as well. */
struct deferred *deferred_next(const struct backend_state *backend, int64_t now_ms, bool busy);
/* Its request ended. */
void deferred_ended(struct backend_state *backend, struct deferred *deferred, int64_t now_ms);
/* Reads a bounded number of those that are not in memory. Returns as lanes_step. */
int deferred_step(struct deliver *deliver);
/* Forgets those from this id on that are not deferred any more: a person ended it. One in flight is
 * marked instead. */
void deferred_forget(struct deliver *deliver, int64_t lowest);
void deferred_free(struct deliver *deliver, struct backend_state *backend);
bool deferred_has(const struct deliver *deliver, int64_t id);

#endif
