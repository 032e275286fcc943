/* deliver/line.h - the lanes that wait for their turn, and the timer that wakes them. */
#ifndef SLUICE_DELIVER_LINE_H
#define SLUICE_DELIVER_LINE_H

#include "deliver/internal.h"

/* Puts a lane with messages and no request in flight at the end of its backend's line,
 * unless it stands there already. */
void line_join(struct deliver *deliver, struct lane *lane);
void line_leave(struct lane *lane);
/* deliver->on_wake is called at this uptime, or earlier if an earlier one was asked for. */
void line_wake_at(struct deliver *deliver, int64_t uptime_ms);

#endif
