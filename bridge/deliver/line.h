/* deliver/line.h - lanes with work, in turn, and the engine's timer. */
#ifndef SLUICE_DELIVER_LINE_H
#define SLUICE_DELIVER_LINE_H

#include "deliver/internal.h"

/* Puts a lane with work into its backend's line, at the end. */
void line_join(struct deliver *deliver, struct lane *lane);
/* Takes it out, if it is in. */
void line_leave(struct lane *lane);
/* Whether its first message may be sent now, as far as the lane and its route go. */
bool line_is_ready(const struct lane *lane, int64_t now_ms);
/* Until when it waits for more messages to fill a batch; 0: it does not wait. */
int64_t line_lingers_until_ms(const struct lane *lane);

/* When the queue that reported this error is tried again. */
int64_t storage_retry_ms(int error);
/* Every backend is looked at again at this uptime, or earlier. */
void deliver_wake_at(struct deliver *deliver, int64_t uptime_ms);
/* Has the queue read again. */
void deliver_feed(struct deliver *deliver);

#endif
