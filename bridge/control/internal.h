/* control/internal.h - the control socket and its clients, as the files of this room share
 * them.
 *
 *   control/control.c   the socket, and what clients request
 *   control/send.c      messages that they send
 *   control/client.c    one client: reads, responds, closes
 *   control/protocol.c  the words
 *
 * A file calls only those below it; a client calls upwards by its function pointers.
 */
#ifndef SLUICE_CONTROL_INTERNAL_H
#define SLUICE_CONTROL_INTERNAL_H

#include "base/buf.h"
#include "control/control.h"
#include "intake/batch.h"
#include "net/pace.h"
#include <sys/queue.h>

struct control_client {
    struct control *control;
    LIST_ENTRY(control_client) list;
    uv_pipe_t pipe;
    uv_timer_t again;    /* there is more to store */
    struct batch *batch; /* of a client that sends; otherwise NULL */
    bool waits_for_reload;
    int open_handles;
    void (*received)(struct control_client *client);     /* there is more in `in`, or it has ended, or
                                                      * it reads its responses again */
    void (*closed)(struct control *control, bool sends); /* its memory is released */
    bool reads;                                          /* we read from it */
    bool ended;                                          /* it sends no more */
    bool closing;
    struct buf in;    /* what we have not acted upon yet */
    size_t unread;    /* bytes of responses that it has not read */
    int64_t waits_ms; /* uptime since when we wait for it; 0: nothing is expected of it */
};

struct control {
    uv_loop_t *loop;
    const char *path;
    struct intake *intake;
    struct queue *queue;
    struct control_calls calls;
    uv_pipe_t listener;
    struct pace sweep;
    int open_handles;
    bool closing;
    bool listens;
    LIST_HEAD(, control_client) clients;
    unsigned client_count, sender_count;
    uint64_t round_ms; /* the loop's time; while it is the same, all clients together */
    int64_t spent_ms;  /* have taken this long */
};

#endif
