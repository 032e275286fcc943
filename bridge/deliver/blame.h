/* deliver/blame.h - decides who is to blame for a failure: a backend, a route or a message.
 *
 * One rule for all failures (see deliver/scope.h): a failure suspects the widest scope
 * of its class. A message is only blamed when something else in that scope passed after it
 * had failed, or when the response blames this message. A batch that may be to
 * blame is tried again as its halves (deliver/bisect.h), until the message stands alone.
 * Messages are dead-lettered one by one; when ten in a row are rejected and none passes
 * between, the messages are not to blame: the route is held.
 */
#ifndef SLUICE_DELIVER_BLAME_H
#define SLUICE_DELIVER_BLAME_H

#include "deliver/internal.h"

/* VERDICT_DELIVERED: the backend and the route are trusted again. */
void blame_nobody(const struct outcome *outcome);
/* VERDICT_AWAY, VERDICT_MISCONFIGURED: a scope is suspected; or the message, or batch, that
 * failed there before. */
void blame_scope(const struct outcome *outcome);
/* VERDICT_LATER: this message; it is tried again, max_attempts times in all. */
void blame_message_later(const struct outcome *outcome);
/* VERDICT_BAD: this message, which is dead-lettered. */
void blame_message(const struct outcome *outcome);

#endif
