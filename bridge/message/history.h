/* message/history.h - what was tried for a message, as it is kept in one column: JSON
 * (RFC 8259), an event a line, oldest first. Pure.
 *
 * It is bounded: of more than MESSAGE_HISTORY_LAST + 1 events the first and the last
 * ones stay. Their numbers tell how many are missing between.
 */
#ifndef SLUICE_MESSAGE_HISTORY_H
#define SLUICE_MESSAGE_HISTORY_H

#include "base/base.h"

enum { MESSAGE_HISTORY_LAST = 9 };

#define MESSAGE_FAILED  "failed"  /* and it waits for another try */
#define MESSAGE_RETRIED "retried" /* a person brought it back from the dead letters */

struct message_event {
    int64_t number; /* from 1; message_history_add counts it */
    int64_t wall_ms;
    const char *event; /* one of the above, or why it was set aside, in a word */
    unsigned attempt;  /* failures of its own so far; since it was retried */
    int status;        /* HTTP; 0: there was no answer, or none to this event */
    const char *words; /* of the backend, or what is wrong; or NULL */
};

/* The history (NULL: none yet) with one more event, to be freed by the caller. What is
 * said already of the same attempt is not said again. */
char *message_history_add(const char *history, const struct message_event *event);

/* Calls visit for each event; what cannot be read is passed over. NULL: there is none. */
typedef void message_event_fn(void *context, const struct message_event *event);
void message_history_each(const char *history, message_event_fn *visit, void *context);

#endif
