/* message/message.h - one message: what an edge brings, what the queue keeps, what is sent.
 */
#ifndef SLUICE_MESSAGE_H
#define SLUICE_MESSAGE_H

#include "base/base.h"
#include <stdbool.h>

#define MESSAGE_KEY_BYTES 129 /* with its NUL */

/* A message, on its way in (id and the members from `key` on are ignored), or as it was
 * stored. Text is NUL-terminated UTF-8; pointers are NULL where the column is. */
struct message {
    int64_t id;
    const char *route;
    const char *topic;
    const char *source;          /* "mqtt", "http" or "send" */
    const char *method;          /* HTTP */
    const char *target;          /* HTTP */
    const char *content_type;    /* as the sender named it */
    const char *properties;      /* MQTT 5: user properties (message/properties.h) */
    const char *idempotency_key; /* HTTP: the client's own */
    int64_t uptime_ms;           /* time of receipt, CLOCK_BOOTTIME */
    int64_t packet_id;           /* MQTT; 0: none */
    int64_t expires_after_ms;    /* MQTT 5: since its receipt; 0: it does not expire */
    int64_t retained;            /* MQTT: 1: the broker had retained it */
    bool late;                   /* it waited at the broker while sluice was away */
    const void *payload;
    size_t payload_bytes;
    char key[MESSAGE_KEY_BYTES]; /* idempotency key: the client's own, or RUN-ID */
    int64_t received_ms;         /* wall clock of the receipt, as well as it is known */
    int64_t late_since_ms;       /* a late message is not older than this */
    bool clock_synchronised;     /* whether these times can be trusted */
    bool this_boot;              /* uptime_ms is of this boot: its age is certain */
    unsigned attempts;
};

/* The columns that a member of struct message has the name of. The statements of the queue,
 * their binds and reads (db/columns.h) and the copies in memory are made from these two lists.
 * The letter is its type as in db_step(): a number that may be NULL is NULL when it is 0. */
#define MESSAGE_TEXTS(X)                                                                                     \
    X(route, "t")                                                                                            \
    X(topic, "t")                                                                                            \
    X(source, "t")                                                                                           \
    X(method, "T")                                                                                           \
    X(target, "T")                                                                                           \
    X(content_type, "T")                                                                                     \
    X(properties, "T")                                                                                       \
    X(idempotency_key, "T")
#define MESSAGE_NUMBERS(X)                                                                                   \
    X(uptime_ms, "i")                                                                                        \
    X(packet_id, "I")                                                                                        \
    X(expires_after_ms, "I")                                                                                 \
    X(retained, "I")

#endif
