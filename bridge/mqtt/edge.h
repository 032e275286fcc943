/* mqtt/edge.h - the edge to the MQTT broker. */
#ifndef SLUICE_INTAKE_MQTT_H
#define SLUICE_INTAKE_MQTT_H

#include "config/config.h"
#include "intake/intake.h"
#include "queue/queue.h"
#include "text/status.h"
#include <uv.h>

struct intake_mqtt;

/* Starts to connect, and goes on for ever. Keeps everything that it is given;
 * broker and commits (their batch and delay) are the configuration at start (a
 * reload does not change it). */
struct intake_mqtt *intake_mqtt_new(uv_loop_t *loop, const struct config_broker *broker,
                                    const struct config_queue *commits, size_t route_count,
                                    struct intake *intake, struct queue *queue);

/* The routes changed: subscribes and unsubscribes. */
void intake_mqtt_resubscribe(struct intake_mqtt *mqtt);

/* From now on commits wait for nothing (commit_delay): it is about to stop. */
void intake_mqtt_hurry(struct intake_mqtt *mqtt);

/* Which broker, in which state, since when, why, until when. */
void intake_mqtt_describe(const struct intake_mqtt *mqtt, struct cJSON *to);

/* Whether the broker may still confirm what was acknowledged to it. */
bool intake_mqtt_is_up(const struct intake_mqtt *mqtt);

/* Disconnects; the session and what is not acknowledged stay at the broker.
 * Returns false when a connection attempt hangs in a system call and cannot be
 * waited for: then the process must end without freeing anything (_exit). */
bool intake_mqtt_stop(struct intake_mqtt *mqtt);

/* After stop returned true. Takes NULL. Memory is let go when the loop has run
 * once more. */
void intake_mqtt_free(struct intake_mqtt *mqtt);

#endif
