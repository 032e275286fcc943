/* message/message.h - one message: what an edge brings, what the queue keeps, what is sent.
 */
#ifndef SLUICE_MESSAGE_H
#define SLUICE_MESSAGE_H

#include "base/base.h"
#include <stdbool.h>

#define MESSAGE_KEY_BYTES 129 /* with its NUL */

/* A message, on its way in (id and the fields from `key` on are ignored) or as
 * it was stored. Text is NUL-terminated UTF-8; pointers are NULL where the
 * column is. */
struct message {
    int64_t id;
    const char *route;
    const char *topic;
    const char *source;          /* "mqtt", "http" or "send" */
    const char *method;          /* http */
    const char *target;          /* http */
    const char *idempotency_key; /* http: the client's own */
    const char *content_type;    /* what the sender said */
    int packet_id;               /* mqtt; 0: none */
    int64_t uptime_ms;           /* time of receipt, CLOCK_BOOTTIME */
    bool late;                   /* it waited at the broker while sluice was away */
    const void *payload;
    size_t payload_bytes;
    char key[MESSAGE_KEY_BYTES]; /* idempotency key: the client's own, or RUN-ID */
    int64_t received_ms;         /* wall clock of the receipt, as well as it is known */
    int64_t late_since_ms;       /* and where it is late, of when it cannot have existed yet */
    bool clock_synchronised;     /* whether these times can be trusted */
    bool this_boot;              /* whether uptime_ms is of this boot: its age is certain */
    unsigned attempts;
};

#endif
