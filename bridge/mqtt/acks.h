/* mqtt/acks.h - acknowledgements to devices (ack_topic), and whether the broker delivers them.
 *
 * They are published at QoS 0: one that is lost comes again with the device's next reading. But to a
 * PUBLISH of QoS 0 the broker does not respond, so one that its ACL forbids, or to which nobody
 * subscribes, would be lost in silence, and the device would send its readings for ever. So with
 * MQTT 5 one of them has QoS 1 from time to time, first of all the first one of each device:
 * the reason code of its PUBACK (MQTT 5.0, section 3.4.2.1) says what became of it. With MQTT
 * 3.1.1 a PUBACK has no reason code.
 */
#ifndef SLUICE_MQTT_ACKS_H
#define SLUICE_MQTT_ACKS_H

#include "mqtt/internal.h"

/* Queues one after the PUBACKs of the same commit. */
void mqtt_ack_publish(struct mqtt *mqtt, const char *topic, const char *text);
/* Why the broker does not deliver those of this topic; NULL: it does, as far as is known. Static. */
const char *mqtt_ack_failure(const struct ack_topic *ack);
/* A connection began. libmosquitto sends again what has no PUBACK. */
void mqtt_acks_connected(struct mqtt *mqtt);
void mqtt_acks_done(struct mqtt *mqtt);

/* Callback of libmosquitto: a PUBACK came, or a PUBLISH of QoS 0 was written. */
void mqtt_on_publish(struct mosquitto *client, void *context, int packet_id, int reason,
                     const mosquitto_property *properties);

#endif
