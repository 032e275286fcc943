/* mqtt/protocol.h - MQTT 5 or 3.1.1, and what is remembered of the session.
 *
 * With `protocol = auto` each connection is tried with MQTT 5 first. sluice takes 3.1.1 for one
 * connection, and tries 5 again after it, when the broker
 *
 *                                              | where the session used MQTT 5 | 3.1.1   | none yet
 *     -----------------------------------------+-------------------------------+---------+-----------
 *     sends a CONNACK with the reason 0x84 or  | at once                       | at once | at once
 *     the code 0x01 (unsupported version)      |                               |         |
 *     sends another CONNACK in the form of     | the second time               | at once | at once
 *     3.1.1                                    |                               |         |
 *     closes the connection before a CONNACK   | never                         | at once | the second time
 *
 * A port forwarder, too, closes connections while the broker behind it starts. So that is no reason to
 * give up MQTT 5 where it worked before; if the broker was replaced by such an old one, a person has
 * to set `protocol`. Where 3.1.1 is closed twice as well, 5 is tried again.
 *
 * Until the process ends, sluice takes 3.1.1 from a broker that names several subscriptions on one
 * copy of a message (MQTT 5.0, section 3.3.2.3.8, allows it; Mosquitto never does it): libmosquitto 2.0
 * takes that for an error, and 3.1.1 has no such property.
 *
 * The messages that wait in a session when its protocol changes:
 *
 *     from 3.1.1 to 5  the broker has one copy of each, which names no subscription. It is for all routes
 *                      that its topic matches (mqtt/copies.h).
 *     from 5 to 3.1.1  the broker may have a copy for each subscription, and without the names we could
 *                      not tell copies from equal readings. So where the configuration asks for 3.1.1,
 *                      the first connection uses MQTT 5, until the broker has no message left for us.
 *                      (If two such connections fail, 3.1.1 is used at once.)
 *
 * (Left open: a message that is published at the very moment of a change, between the CONNECT and the
 * SUBSCRIBE, or between the two connections, is stored once for each filter that its topic matches.)
 */
#ifndef SLUICE_MQTT_PROTOCOL_H
#define SLUICE_MQTT_PROTOCOL_H

#include "mqtt/internal.h"

/* At the start: reads what is remembered of the session. */
void mqtt_protocol_init(struct mqtt *mqtt);
/* A CONNACK accepted the connection. */
void mqtt_protocol_agreed(struct mqtt *mqtt, bool session_present);
/* The connection ended; mqtt->link, refused, refusal and close_reason are still those of it. Chooses the
 * protocol of the next one. Returns the reason of the end, for people, where it is one of the
 * protocol; otherwise NULL. */
const char *mqtt_protocol_closed(struct mqtt *mqtt);
/* The broker has nothing left for us, and the next connection must be of 3.1.1: end this one. */
bool mqtt_protocol_must_change(const struct mqtt *mqtt);
/* Stores what changed. No batch must be open. 0, -EBUSY: the database is locked, -Exxx. */
int mqtt_protocol_save(struct mqtt *mqtt);

#endif
