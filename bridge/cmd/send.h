/* cmd/send.h - how `sluice send` gets messages stored.
 *
 *   cmd/send.c        the command line, and where payloads come from
 *   cmd/send_store.c  through the daemon's socket, or into the queue of one that is
 *                     stopped
 */
#ifndef SLUICE_CMD_SEND_H
#define SLUICE_CMD_SEND_H

#include "base/buf.h"
#include "config/file.h"
#include <stdbool.h>

enum {
    CMD_SEND_BATCH = 500,           /* messages that share a commit, at most */
    CMD_SEND_PAYLOAD = 1024 * 1024, /* bytes of one, at most */
    CMD_SEND_BATCH_BYTES = 1 << 20, /* of all of them, about */
};

enum cmd_send_fate {
    CMD_SEND_WAITS, /* no word of it yet */
    CMD_SEND_STORED,
    CMD_SEND_DROPPED,
    CMD_SEND_AHEAD, /* a reading too far in front of one that is missing (ack_topic) */
    CMD_SEND_UNROUTED,
    CMD_SEND_REFUSED, /* the topic is none */
    CMD_SEND_AGAIN,   /* it could not be stored now; words say why */
};

struct cmd_send_piece {
    const char *payload;
    size_t payload_bytes;
    enum cmd_send_fate fate;
};

struct cmd_send_store {
    const char *config_path;
    const struct config_place *place;
    const char *topic;
    bool patient; /* a daemon that hangs is waited for, and not sent the same once more */
    int fd;       /* of the connection; -1: none */
    bool told_of_hanging;
    bool let_in;          /* there was one once */
    int64_t yields_to_ms; /* uptime; until then it leaves the queue to a daemon that starts */
    char *words;          /* why the last one was not stored; or NULL */
    bool hopeless;        /* ... and trying again will not help */
};

/* Tries to store all pieces that wait, and sets their fates: those that still wait
 * afterwards, for the daemon is about to start or to stop, are to be tried again. */
void cmd_send_store(struct cmd_send_store *store, struct cmd_send_piece *pieces, size_t count);
void cmd_send_store_done(struct cmd_send_store *store);

#endif
