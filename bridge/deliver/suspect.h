/* deliver/suspect.h - what is held against the first message of a lane.
 *
 * A message that failed alone is a suspect while it is the first of its lane. Its failure
 * counts as an attempt only after something else passed in the same scope; until then the
 * scope may be at fault.
 */
#ifndef SLUICE_DELIVER_SUSPECT_H
#define SLUICE_DELIVER_SUSPECT_H

#include "deliver/internal.h"

/* Whether the first message of the lane is a suspect. */
bool suspect_is_first(const struct lane *lane);
/* Notes that the request failed in the scope. isolate: the connection broke, with other
 * requests on it; may_be_its_fault: the message itself may have caused the failure. */
void suspect_note(struct flight *flight, const struct scope *scope, const struct failure *failure,
                  bool isolate, bool may_be_its_fault);
/* Counts the last failure of the message that the request begins with, if it counts by now. */
void suspect_count(struct flight *flight);
/* Whether the last failure of the message that the request begins with does not count yet. */
bool suspect_owes(const struct flight *flight);
/* Before the queue learns of a further failure of the message: its first one, which was only
 * in memory, is written too. */
void suspect_write_first(struct deliver *deliver, struct lane *lane, int64_t id);
void suspect_clear(struct lane *lane);

#endif
