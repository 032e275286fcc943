/* deliver/settle.h - deletes what was delivered, and reports when the engine is idle.
 *
 * Deletes ride on the next commit of intake. Where none comes they get one of their own,
 * within a second.
 */
#ifndef SLUICE_DELIVER_SETTLE_H
#define SLUICE_DELIVER_SETTLE_H

#include "deliver/internal.h"

/* Messages were given to queue_settle: they are deleted within a second. */
void settle_later(struct deliver *deliver);
/* When the loop comes round: deletes, and reports if the engine is idle. Not at once,
 * because the report may take the engine apart. */
void settle_soon(struct deliver *deliver);
/* So many could not be deleted that nothing more may be delivered: it would be sent again. */
bool settle_is_full(const struct deliver *deliver);

#endif
