/* control/internal.h - what the files of the control socket share; nobody else
 * includes it.
 *
 *   control/control.c       the socket, its clients, and what they ask
 *   control/send.c  messages that they send
 */
#ifndef SLUICE_CONTROL_PRIVATE_H
#define SLUICE_CONTROL_PRIVATE_H

#include "base/buf.h"
#include "control/control.h"
#include "intake/batch.h"
#include <sys/queue.h>

enum {
    CONTROL_TOPIC_MOST = 65535,         /* as MQTT has it */
    CONTROL_PAYLOAD_MOST = 1024 * 1024, /* of one message */
    CONTROL_HEAD_MOST = 32,             /* the line before it */
};

struct client {
    struct control *control;
    LIST_ENTRY(client) list;
    uv_pipe_t pipe;
    uv_timer_t again;    /* there is more to store */
    struct batch *batch; /* of what it sends, or NULL */
    int open_handles;
    bool sends; /* it said "send" */
    bool reads; /* and we read from it */
    bool ended; /* it will say no more */
    bool closing;
    struct buf in;    /* what is not acted upon yet */
    size_t unread;    /* bytes of answers on their way */
    int64_t waits_ms; /* uptime since when it is to go on; 0: nothing is expected of it */
};

struct control {
    uv_loop_t *loop;
    const char *path;
    struct intake *intake;
    struct queue *queue;
    struct control_calls calls;
    uv_pipe_t listener;
    uv_timer_t sweep;
    int open_handles;
    bool listening;
    bool closing;
    LIST_HEAD(, client) clients;
    unsigned client_count, sender_count;
    uint64_t round_ms; /* the loop's time; while it is the same, all clients together */
    int64_t spent_ms;  /* took so long */
};

/* ---- control/control.c ---- */
/* Answers, and goes on reading once the answer is on its way; end: the last one. */
void control_answer(struct client *client, const char *text, size_t bytes, bool end);
void control_read_on(struct client *client);
void control_read_stop(struct client *client);
void control_close(struct client *client);
/* Closes it when it will say no more, and has all its answers. */
void control_close_if_done(struct client *client);

/* ---- control/send.c ---- */
/* Stores what is there of whole messages, and answers. */
void control_take(struct client *client);
/* The same, for the first time. */
void control_take_first(struct client *client);

#endif
