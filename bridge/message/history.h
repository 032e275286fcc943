/* message/history.h - the failures of a message, and its retries, as one column has them: JSON
 * (RFC 8259), one event per line, oldest first. Pure.
 *
 * It is bounded: of more than MESSAGE_HISTORY_LAST + 1 events, the first one and the last
 * MESSAGE_HISTORY_LAST stay. Their numbers show how many are missing between.
 */
#ifndef SLUICE_MESSAGE_HISTORY_H
#define SLUICE_MESSAGE_HISTORY_H

#include "base/base.h"

enum { MESSAGE_HISTORY_LAST = 9 };

#define MESSAGE_FAILED  "failed"  /* it waits for another attempt */
#define MESSAGE_RETRIED "retried" /* a person made it a message again (sluice queue retry) */

struct message_event {
    int64_t number; /* from 1; message_history_add counts it */
    int64_t wall_ms;
    const char *event; /* one of the above, or the reason of a dead letter */
    unsigned attempt;  /* how many attempts have failed, since it was retried */
    int status;        /* HTTP; 0: there was no response */
    const char *error; /* the message of the response, or what is wrong; or NULL */
};

/* The history (NULL: none yet) with one more event, freed by the caller. A dead letter does
 * not repeat the status and error of the failure before it, if they are the same. */
char *message_history_add(const char *history, const struct message_event *event);

/* Calls visit for each event; a line that cannot be read is skipped. history may be NULL. */
typedef void message_event_fn(void *context, const struct message_event *event);
void message_history_each(const char *history, message_event_fn *visit, void *context);

#endif
