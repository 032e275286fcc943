/* message/row.h - a whole row of the queue: a message and its failures; copied, and as JSON.
 * Pure. */
#ifndef SLUICE_MESSAGE_ROW_H
#define SLUICE_MESSAGE_ROW_H

#include "message/message.h"

struct cJSON;

struct message_row {
    struct message message;
    bool deferred;          /* it failed alone, and is tried again by itself */
    bool dead;              /* a dead letter; if neither, it waits */
    int last_status;        /* HTTP, of its last own failure; 0: there was no response, or no failure */
    const char *last_error; /* or NULL */
    const char *history;    /* message/history.h; NULL: none */
    const char *reason;     /* of a dead letter: one word; otherwise NULL */
    int64_t died_ms;        /* of a dead letter: when, wall clock */
};

/* A copy in one piece of memory, freed by the caller. */
struct message_row *message_row_copy(const struct message_row *row);

/* The target of an HTTP request, its query replaced by ***, because it may have a key; NULL for
 * other messages. Freed by the caller. */
char *message_row_target(const struct message_row *row);

/* One object with everything that is known of it; the payload is text if it is UTF-8, and
 * base64 with "encoding" beside it otherwise. The caller frees it (cJSON_Delete). */
struct cJSON *message_row_json(const struct message_row *row);

#endif
