/* control/protocol.h - the words and limits of the control socket, for sluice and for the
 * commands that use it. sluice-control(7) describes the protocol.
 */
#ifndef SLUICE_CONTROL_PROTOCOL_H
#define SLUICE_CONTROL_PROTOCOL_H

/* The first line of a client. */
#define CONTROL_STATUS "status"
#define CONTROL_LOOK   "look"
#define CONTROL_SEEN   "seen"
#define CONTROL_RELOAD "reload"
#define CONTROL_SEND   "send"

/* The first line of the response to these, except status and send. */
#define CONTROL_OK      "ok"
#define CONTROL_REFUSED "refused"

enum {
    CONTROL_REQUEST_MOST = 16,          /* bytes of the first line */
    CONTROL_HEAD_MOST = 32,             /* of the line before a message */
    CONTROL_TOPIC_MOST = 65535,         /* as in MQTT */
    CONTROL_PAYLOAD_MOST = 1024 * 1024, /* of one message */
    CONTROL_RESULT_MOST = 200,          /* of the line that responds to a message */
    CONTROL_CLIENTS_MOST = 40,
    CONTROL_SENDERS_MOST = 32, /* of these clients; they may stay for months */
    CONTROL_PATIENCE_S = 30,   /* for a whole line or message, or until responses are read */
};

/* What became of a message: the first word of its line. */
enum control_result {
    CONTROL_STORED,   /* durable, for every route that takes it; or it was stored before */
    CONTROL_DROPPED,  /* not stored, because the queue is full (when_full) */
    CONTROL_AHEAD,    /* not stored: a reading too far ahead of one that is missing (ack_topic) */
    CONTROL_UNROUTED, /* not stored: no route takes this topic */
    CONTROL_WRONG,    /* not stored: this is no topic, or no message */
    CONTROL_FULL,     /* not stored, because the queue is full: send it again later */
    CONTROL_FAILED,   /* not stored, because the storage fails or too many send: the same */
    CONTROL_RESULTS,  /* none of these */
};

/* The word of a result. */
const char *control_result_word(enum control_result result);
/* Reads a line, without its end: its result, and in *ret_reason the text after the word, which
 * may be empty. */
enum control_result control_result_parse(const char *line, const char **ret_reason);

#endif
