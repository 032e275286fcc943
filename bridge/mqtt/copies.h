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
 * a subscription that the copies of the first one have named.
 *
 * A copy may name a subscription that the queue does not know: the session is older than the queue,
 * or the filter was removed and came back under a new identifier. In the latter case, the earlier and
 * the new identifier are of one subscription, and two equal readings may name them one after the
 * other, the earlier one first. So until the broker has no message left that is older than the present
 * subscriptions (redelivery.is_settled), a known name after an unknown one begins a message of its
 * own. (Left open: in that moment, a message is stored twice if its topic matches a filter that only the
 * broker knows, and that copy comes first.)
 *
 * A message of QoS 0 may overtake others, so it is compared with the one of QoS 0 before it.
 *
 * What was named is stored with each commit that needs it, and so is what identifies a redelivery of a
 * copy: a crash between two copies makes no second message.
 *
 * A retained message, which comes because of a new subscription, is for the routes with the filter of
 * that subscription; it is not the subject here. With MQTT 3.1.1, and where the broker has no identifiers, copies name nothing and cannot be told
 * from equal readings. Mosquitto sends one copy then (unless allow_duplicate_messages is set); of
 * another broker, which sends several, a message is stored once for each copy.
 */
#ifndef SLUICE_MQTT_COPIES_H
#define SLUICE_MQTT_COPIES_H

#include "mqtt/internal.h"

/* At the start, and after a commit that failed: reads what was stored. */
void mqtt_copies_load(struct mqtt *mqtt);
/* A CONNACK came. */
void mqtt_copies_connected(struct mqtt *mqtt, bool session_present);
/* A PUBLISH came that is not retained, nor of a shared subscription. Returns whether it is another
 * copy of the message before it. */
bool mqtt_copies_received(struct mqtt *mqtt, const struct mosquitto_message *packet,
                          const mosquitto_property *properties);
/* Before the commit, in the open transaction. */
void mqtt_copies_save(struct mqtt *mqtt);

#endif
