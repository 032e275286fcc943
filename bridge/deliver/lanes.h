/* deliver/lanes.h - which messages wait in which lane: a window over the queue. */
#ifndef SLUICE_DELIVER_LANES_H
#define SLUICE_DELIVER_LANES_H

#include "deliver/internal.h"

void lanes_init(struct route_state *route);
void lanes_free(struct route_state *route);

/* Reads one bounded step of the queue; returns 1 when there is more to read, 0
 * when not, or -Exxx. */
int lanes_step(struct deliver *deliver);
/* Whether the lane runs empty and the queue has more for it. */
bool lanes_is_hungry(const struct lane *lane);

/* Removes a message that was delivered, dead-lettered or is gone; it is among the
 * ids of its lane. */
void lanes_remove(struct deliver *deliver, struct lane *lane, int64_t id);
/* Takes the copy of a waiting message, or NULL; the caller frees it. */
struct queue_copy *lanes_take_copy(struct deliver *deliver, struct waiting *waiting);

/* Messages with this id or higher ones returned, where all was read already. Every lane
 * forgets what it knows from there on, except for what is in flight, and reads it again, as
 * after a start; so a returned message takes its old place among those that still wait. What is
 * held against the first one, and a batch that is being taken apart, start over: others may
 * stand before it, or among its parts, now. Returns whether there is anything to read. */
bool lanes_forget(struct deliver *deliver, int64_t lowest);

#endif
