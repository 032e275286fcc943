/* deliver/blame.h - a request failed: whom to suspect, whom to check, what waits.
 *
 * First check, then blame. A failed response may be about the backend, the route's
 * configuration, or one message:
 *
 *   the failure                         what follows
 *   certain (no connection, TLS ...)    the backend waits: backoff, then a probe
 *   doubtful (500, a broken connection, other messages are checked at once; one passes: the
 *    404 ...)                           failed message is a suspect; none: as above
 *   asks to wait (429, Retry-After)     one message of another lane is checked; it passes: the
 *                                       lanes of the request wait; otherwise the backend
 *   the message is rejected (400 ...)   a dead letter; ten in a row with nothing accepted
 *                                       between: the route is suspected as well
 *
 * A suspect is tried again alone. When it fails again, after others passed, it is deferred
 * (deliver/deferred.h). A failure that nothing can be compared with, because no
 * other message waits, makes its own message wait, and nobody is suspected.
 */
#ifndef SLUICE_DELIVER_BLAME_H
#define SLUICE_DELIVER_BLAME_H

#include "deliver/outcome.h"

enum { DEFER_AFTER = 2 };

/* Away and misconfigured. */
void blame_scope(const struct outcome *outcome);
/* The response is about one of several messages. */
void blame_batch(const struct outcome *outcome);
/* The response rejects its only message. reason: of a dead letter, one word. */
void blame_message(const struct outcome *outcome, unsigned attempts, const char *reason);
/* The only message is to be tried again later. */
void blame_later(const struct outcome *outcome);
/* The backend responded, or took a message. */
void blame_acquit_backend(const struct outcome *outcome, bool delivered);

/* Decides about the first message of a lane before it is sent again. 0: send it; 1: it left the
 * lane; -Exxx of the queue. */
int blame_decide(struct deliver *deliver, struct lane *lane);
/* The same of a deferred message. */
int blame_decide_deferred(struct deliver *deliver, struct deferred *deferred);

#endif
