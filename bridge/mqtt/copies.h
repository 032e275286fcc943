/* mqtt/copies.h - several copies of one message.
 *
 * With MQTT 5 the broker sends a message once for each subscription that matches its topic, and
 * each copy names its subscription. But the name does not say which routes a copy is for: when
 * Mosquitto restarts, it does not know the protocol of our session until we are back. Of each
 * message that comes meanwhile it keeps one copy, which names any of the subscriptions. So the first
 * copy of a message is stored for all routes that its topic matches, and the other copies are
 * dropped.
 *
 * Copies come one directly after the other. A PUBLISH is another copy of the message before it if
 * topic and payload are equal, and no copy named its subscription yet. An equal reading begins with
 * a subscription that the copies of the first one have named. (A subscription that we do not know any
 * more may be one of these under an earlier identifier: what names it is a message of its own.)
 *
 * What was named is stored with each commit that needs it, and so is what identifies a redelivery of a
 * copy: a crash between two copies makes no second message.
 *
 * A retained message, which comes because of a new subscription, is for the routes with the filter of
 * that subscription; it is not the subject here. MQTT 3.1.1 has one copy of each message.
 */
#ifndef SLUICE_MQTT_COPIES_H
#define SLUICE_MQTT_COPIES_H

#include "mqtt/internal.h"

/* At the start, and after a commit that failed: reads what was stored. */
void mqtt_copies_load(struct mqtt *mqtt);
/* A CONNACK came. */
void mqtt_copies_connected(struct mqtt *mqtt, bool session_present);
/* Each PUBLISH that is not retained, nor of a shared subscription, in their order. Returns whether it is another copy. */
bool mqtt_copies_received(struct mqtt *mqtt, const struct mosquitto_message *packet,
                          const mosquitto_property *properties);
/* Before the commit, in the open transaction. */
void mqtt_copies_save(struct mqtt *mqtt);

#endif
