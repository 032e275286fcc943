/* intake/devices.h - devices that number their readings, on routes with an ack_topic:
 * which of their readings are new, and what they are told. Used by intake/intake.c only.
 *
 * Everything here belongs to the open transaction: what is known of a device is read
 * with its first message in it and saved before its commit, and the answers are
 * given out after it. A transaction that fails leaves nothing behind.
 */
#ifndef SLUICE_INTAKE_DEVICE_H
#define SLUICE_INTAKE_DEVICE_H

#include "base/metrics.h"
#include "queue/queue.h"

struct intake_devices;

struct intake_devices *intake_devices_new(struct queue *queue, struct metrics *metrics);
void intake_devices_free(struct intake_devices *devices); /* takes NULL */

/* What a message is to such a route. */
enum intake_reading {
    READING_NONE,  /* an ordinary message */
    READING_NEW,   /* to be stored; then intake_devices_stored */
    READING_AGAIN, /* stored already */
    READING_AHEAD, /* not to be stored: too far in front of one that is missing; it is sent again */
};
/* 0 or -Exxx. */
int intake_devices_see(struct intake_devices *devices, const struct config_route *route,
                       const struct message *message, enum intake_reading *ret);
/* The one that was seen last. */
void intake_devices_stored(struct intake_devices *devices);
/* Before the commit; 0 or -Exxx. */
int intake_devices_save(struct intake_devices *devices);
/* It was committed, or not. */
void intake_devices_committed(struct intake_devices *devices, bool well);
/* Calls visit with each answer that is due since the last commit, and forgets them. */
typedef void intake_ack_fn(void *context, const char *topic, const char *text);
void intake_devices_acks(struct intake_devices *devices, intake_ack_fn *visit, void *context);

#endif
