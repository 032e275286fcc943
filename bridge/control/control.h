/* control/control.h - the control socket of a running sluice, where commands get its status,
 * notify it and send messages.
 *
 * A Unix stream socket, mode 0660: members of sluice's group may connect. sluice-control(7)
 * describes what clients send and get. Messages enter like those of every edge, through a
 * batch, and get their result only after the commit. Everything is bounded: clients, what is
 * read before a response, responses that are not read. A client that does not go on is
 * closed, and none ever holds up the loop.
 */
#ifndef SLUICE_CONTROL_H
#define SLUICE_CONTROL_H

#include "intake/intake.h"
#include "queue/queue.h"
#include <uv.h>

struct control;

/* What the daemon does for a client. */
struct control_calls {
    char *(*status)(void *context); /* JSON; control frees it */
    void (*look)(void *context);    /* another process changed the queue */
    void (*seen)(void *context);    /* a person lists the dead letters */
    void (*reload)(void *context);  /* read the configuration again; then call control_reloaded() */
    void *context;
};

/* Keeps what it is given. Where there can be no socket, logs why, and does without. */
struct control *control_new(uv_loop_t *loop, const char *path, struct intake *intake, struct queue *queue,
                            const struct control_calls *calls);
/* The response to all clients that wait for a reload. Takes NULL. */
void control_reloaded(struct control *control, const char *text);
/* Ends all connections, and removes the socket. The memory is released when the loop has run
 * once more. Takes NULL. */
void control_free(struct control *control);

#endif
