/* mqtt/edge.h - the edge to the MQTT broker. */
#ifndef SLUICE_MQTT_EDGE_H
#define SLUICE_MQTT_EDGE_H

#include "config/config.h"
#include "intake/intake.h"
#include "queue/queue.h"
#include <uv.h>

struct mqtt;

/* Connects, and connects again for ever. Keeps everything that it is given. The broker, and
 * commit_batch and commit_delay of the queue, are those at start; a reload does not change
 * them. */
struct mqtt *mqtt_new(uv_loop_t *loop, const struct config_broker *broker, const struct config_queue *commits,
                      size_t route_count, struct intake *intake, struct queue *queue);

/* The next connection uses the user name and the password of this one, and none of its other
 * values. Keeps it. */
void mqtt_login(struct mqtt *mqtt, const struct config_broker *broker);

/* The routes changed: subscribes and unsubscribes. */
void mqtt_resubscribe(struct mqtt *mqtt);

/* Something changed that may have ended an outage: if sluice waits before it connects again, it does so
 * now. If that fails, the next pause is as long as it would have been. Returns whether it waited. */
bool mqtt_try_early(struct mqtt *mqtt);

/* From now on commits are not delayed (commit_delay): sluice is about to stop. */
void mqtt_hurry(struct mqtt *mqtt);

/* Whether the broker may still confirm what was acknowledged to it. */
bool mqtt_is_up(const struct mqtt *mqtt);

/* Disconnects; the session, and what is not acknowledged, stay at the broker. Returns false
 * when a connection attempt blocks in a system call: then the process must end without
 * freeing anything (_exit), because that thread cannot be waited for. */
bool mqtt_stop(struct mqtt *mqtt);

/* After mqtt_stop returned true. The memory is released when the loop has run once more.
 * Takes NULL. */
void mqtt_free(struct mqtt *mqtt);

#endif
