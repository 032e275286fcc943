/* cmd/send_store.h - stores messages for `sluice send`: through the socket of the daemon, or
 * directly into the queue if sluice is stopped. */
#ifndef SLUICE_CMD_SEND_STORE_H
#define SLUICE_CMD_SEND_STORE_H

#include "base/buf.h"
#include "config/file.h"
#include <stdbool.h>

enum {
    SEND_BATCH_MESSAGES = 500,  /* messages that share a commit, at most */
    SEND_BATCH_BYTES = 1 << 20, /* of all of them, about */
};

enum send_result {
    SEND_PENDING, /* not known yet */
    SEND_STORED,
    SEND_DROPPED,
    SEND_AHEAD, /* a reading too far ahead of one that is missing (ack_topic) */
    SEND_UNROUTED,
    SEND_REFUSED, /* the topic is invalid */
    SEND_AGAIN,   /* it could not be stored now, for the sender's reason */
};

struct send_message {
    const char *payload;
    size_t payload_bytes;
    enum send_result result;
};

struct sender {
    const char *config_path;
    const struct config_place *place;
    const char *topic;
    bool patient; /* wait for a daemon that hangs, and do not send the same again */
    int fd;       /* of the connection; -1: none */
    bool hang_reported;
    bool was_connected;
    int64_t yield_until_ms; /* uptime; until then, leave the queue to a daemon that starts */
    char *reason;           /* why the last message was not stored; or NULL */
    bool permanent;         /* trying again will not help */
};

/* Tries to store the pending messages, and sets their results. A message that is still
 * pending afterwards, because the daemon starts or stops just now, is to be tried again. */
void sender_store(struct sender *sender, struct send_message *messages, size_t count);
void sender_done(struct sender *sender);

#endif
