/* deliver/lanes.h - which messages wait in which lane: a window over the queue. */
#ifndef SLUICE_DELIVER_LANES_H
#define SLUICE_DELIVER_LANES_H

#include "deliver/ring.h"

/* Reads one bounded step of the queue; returns 1 when there is more to read, 0 when not, or
 * -Exxx. */
int lanes_step(struct deliver *deliver);
/* Has the queue read again for a lane that runs empty, if it may have more for it. */
void lanes_feed(struct deliver *deliver, const struct lane *lane);
/* Removes a message that was delivered, dead-lettered, deferred or is gone, if it is there. */
void lanes_remove(struct deliver *deliver, struct lane *lane, int64_t id);
/* The same while a request is made, of which the lane may be no part then. lane may be NULL. */
void lanes_forget(struct deliver *deliver, struct lane *lane, int64_t id);
/* Takes the copy of a waiting message, or NULL; the caller frees it. */
struct queue_copy *lanes_take_copy(struct deliver *deliver, struct waiting *waiting);
/* Where the messages of this topic wait, or NULL: the configuration does not have the route. */
struct lane *lanes_of(struct deliver *deliver, const char *route_name, const char *topic, int64_t id);
void lanes_free(struct route_state *route);

#endif
