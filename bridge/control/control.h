/* control/control.h - the socket at which a running sluice is asked, and given messages.
 *
 * A Unix stream socket, mode 0660: whoever is in sluice's group may connect. A client
 * says in its first line what it wants:
 *
 *   status    answered by one JSON object, and the end of the connection
 *   look      another process changed the queue: look at it now, not within a second;
 *             answered by "ok"
 *   send      messages follow, as many as the client likes, each as
 *                 TOPIC-BYTES PAYLOAD-BYTES\n, the topic, the payload
 *             and each is answered by one line, in their order:
 *                 stored            durable, for every route that takes it
 *                 dropped WHY       not stored, for the queue is full and says so (when_full)
 *                 unrouted          no route takes this topic
 *                 wrong WHY         this is no topic of a message
 *                 full WHY          not stored: again later
 *                 failed WHY        the storage fails, or too many send: again later
 *
 * What clients send goes through the same door as everything (intake/intake.h), and is
 * answered only after its commit. What came together shares one. Everything is
 * bounded: clients, what is read ahead of an answer, answers that are not read; a
 * client that does not go on is let go, and none ever holds up the loop.
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
    void (*look)(void *context);
    void *context;
};

/* Keeps what it is given. Where there can be no socket, says why in the log, and goes
 * without. */
struct control *control_new(uv_loop_t *loop, const char *path, struct intake *intake, struct queue *queue,
                            const struct control_calls *calls);
/* Takes NULL. Ends all connections, removes the socket; memory is let go when the
 * loop has run once more. */
void control_free(struct control *control);

#endif
