/* mqtt/status.h - the state of the connection to the broker, for the log and for people. */
#ifndef SLUICE_MQTT_STATUS_H
#define SLUICE_MQTT_STATUS_H

#include "text/status.h"

struct mqtt;

/* Adds the broker, its state, since when, why, the next attempt, and the subscriptions. */
void mqtt_describe(const struct mqtt *mqtt, struct cJSON *to);

/* Logs that an attempt or a connection failed, and that the next attempt is in wait_ms: a
 * warning for each new reason, and every ten minutes for one that lasts. why: NULL when the
 * log has the reason already. */
void mqtt_report_away(struct mqtt *mqtt, const char *why, int64_t wait_ms);
void mqtt_report_connected(struct mqtt *mqtt);
/* After mqtt->brief changed: logs that a clash of client_ids began or ended. During it, single
 * connections are not logged. */
void mqtt_report_clash(struct mqtt *mqtt);

#endif
