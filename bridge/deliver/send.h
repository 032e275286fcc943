/* deliver/send.h - what a lane sends: its first message, or a batch of the first ones. */
#ifndef SLUICE_DELIVER_SEND_H
#define SLUICE_DELIVER_SEND_H

#include "deliver/internal.h"

/* How many messages the lane would send now, at most; at least 1. */
unsigned send_most(const struct lane *lane);
/* Whether its next request must be the only one on its connection. */
bool send_must_isolate(const struct lane *lane);
/* Sends what is first in the lane. 0: a request is in flight; done is called when it ended,
 * with its flight as context, which it ends by send_drop. -ENOMSG: what was first is gone,
 * the lane may have others. -EAGAIN: it lingers, and its batch can still grow. Another
 * error: the lane must wait for the storage. */
int send_next(struct deliver *deliver, struct lane *lane, bool lingers, transfer_done_fn *done);
/* Frees a flight. Its messages are in flight no more. For transfer_free, too. */
void send_drop(void *flight);

#endif
