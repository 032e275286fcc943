/* intake/devices.h - devices that number their readings, on routes with an ack_topic
 * (sluice-devices(7)): which readings are new, and the acknowledgements.
 *
 * Everything belongs to the open transaction: the state of a device is read with its first
 * message in it and saved before its commit, and the acknowledgements are given out after
 * it. A transaction that fails leaves nothing. When a message cannot be stored now, because
 * the queue is full and drops new messages, it is not acknowledged: the device keeps it. The
 * same holds for readings too far ahead of a missing one.
 */
#ifndef SLUICE_INTAKE_DEVICES_H
#define SLUICE_INTAKE_DEVICES_H

#include "base/metrics.h"
#include "queue/queue.h"

struct devices;

struct devices *devices_new(struct queue *queue, struct metrics *metrics);
void devices_free(struct devices *devices); /* takes NULL */

/* What a message is on such a route. */
enum reading_fate {
    READING_NONE,  /* an ordinary message */
    READING_NEW,   /* to be stored; then call devices_stored */
    READING_AGAIN, /* stored already */
    READING_AHEAD, /* too far ahead of a missing one: not to be stored; the device sends it again */
};
/* 0 or -Exxx. */
int devices_receive(struct devices *devices, const struct config_route *route, const struct message *message,
                    enum reading_fate *ret);
/* The last one received is stored. */
void devices_stored(struct devices *devices);
/* Before the commit; 0 or -Exxx. */
int devices_save(struct devices *devices);
/* The transaction was committed, or not. */
void devices_committed(struct devices *devices, bool is_committed);
/* Calls visit with each acknowledgement that is due since the last commit, and forgets them. */
typedef void intake_ack_fn(void *context, const char *topic, const char *text);
void devices_acks(struct devices *devices, intake_ack_fn *visit, void *context);

#endif
