/* deliver/choose.h - what a backend is sent next.
 *
 * While all is well: parts of batches that failed, then the lanes in line, in turn, then, in
 * the room that is left, deferred messages. While the backend or a route is suspected: one
 * message at a time, the first of the next lane in line as a probe; and when it fails, its
 * checks, which may be any waiting message.
 */
#ifndef SLUICE_DELIVER_CHOOSE_H
#define SLUICE_DELIVER_CHOOSE_H

#include "deliver/internal.h"

enum work_kind {
    WORK_LANE,     /* the first message of a lane, or a batch that begins with it */
    WORK_PART,     /* a part of a batch that failed */
    WORK_ONE,      /* the message `id` of a lane alone, a check */
    WORK_DEFERRED, /* a deferred message */
};

struct work {
    enum work_kind kind;
    struct lane *lane;
    struct part *part;
    struct deferred *deferred;
    int64_t id;
    struct round *deep_of; /* one of its deep checks; or NULL */
    bool check;            /* of a part: it may be sent before messages that failed */
    bool lingers;          /* the lane waits for more: send only a full batch */
};

/* False: nothing can start now. */
bool choose_next(struct deliver *deliver, struct backend_state *backend, int64_t now_ms, struct work *ret);
/* How many messages it would send at most; at least 1. */
unsigned choose_count(const struct work *work);
/* How many messages wait that could be in a batch with this lane's. */
unsigned choose_waiting(const struct lane *lane);
/* Whether it must be the only request on its connection. */
bool choose_must_isolate(const struct work *work);

#endif
