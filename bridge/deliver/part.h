/* deliver/part.h - parts of a batch that failed, until the message at fault stands alone.
 *
 *   1 2 3 4 5 6 7 8          rejected: one of them is at fault
 *   1 2 3 4│5 6 7 8          two parts; where they share no lane, both are sent at once
 *   1 2│3 4│5 6 7 8          the first one failed as well
 *
 * The parts of a route are in the order of their messages. A lane whose messages are in parts
 * sends nothing behind them, and of a part those messages are sent that are the first ones of
 * their lanes: so no message overtakes another. k messages at fault in a batch of n cost about
 * 2k * log2(n) requests.
 */
#ifndef SLUICE_DELIVER_PART_H
#define SLUICE_DELIVER_PART_H

#include "deliver/scope.h"
#include <sys/queue.h>

struct lane;
struct flight;
struct route_state;

struct part {
    TAILQ_ENTRY(part) others;
    const struct scope *scope; /* in which its batch failed; NULL: the response was about the batch */
    uint64_t passes;           /* scope->passes then: later ones prove that it was not the scope */
    bool isolate;              /* a connection broke under it: nothing else may be on it */
    unsigned count;
    struct lane **lanes;
    int64_t ids[]; /* ascending */
};
TAILQ_HEAD(part_list, part);

/* The batch of a flight failed: leaves two parts, or one where `whole` or one message is
 * given. scope: as in struct part. */
void part_split(struct flight *flight, const struct scope *scope, bool whole, bool isolate);
/* How far part_may_send came in each lane: all zero for the first member. */
struct part_walk {
    unsigned at[64]; /* by number of the lane */
};
/* Asked of one member after the other: whether this message may be sent. Those before it in its lane
 * are of the part as well, and none failed alone. As a check it may be sent before messages that
 * failed alone since something passed. */
bool part_may_send(const struct part *part, unsigned member, bool check, struct part_walk *walk);
/* Whether one of them may be sent and no lane has a request in flight, or none of them is left. */
bool part_is_next(const struct part *part, bool check);
/* Whether this message is in a part of the route. */
bool part_holds(const struct route_state *route, int64_t id);
/* Whether a failure of it would be its own: others passed since its batch failed. */
bool part_is_convicted(const struct part *part);
/* Takes it out of its route's list: its lanes are free again. The caller frees it. */
void part_take(struct route_state *route, struct part *part);
/* Forgets all parts: their messages are sent as if they had never failed. */
void part_forget_all(struct route_state *route);

#endif
