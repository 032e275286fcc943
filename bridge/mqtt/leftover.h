/* mqtt/leftover.h - topic filters that the broker has for us, and the queue does not know.
 *
 * A session outlives the queue: if somebody deletes the database, or starts anew with another
 * configuration under the same client_id, the broker still has the filters of before. MQTT cannot
 * list them. But it sends messages for them: such a message names an unknown subscription, or none though
 * ours have names, or its topic matches no filter that we know. Then we unsubscribe from each filter that can match its topic, and
 * that the configuration does not have: at every level the name or `+`, or `#` from there on.
 * (A shared subscription, $share/..., cannot be found so.)
 */
#ifndef SLUICE_MQTT_LEFTOVER_H
#define SLUICE_MQTT_LEFTOVER_H

#include "mqtt/internal.h"

/* A PUBLISH came. Sends the UNSUBSCRIBE where that is due. */
void mqtt_leftover_look(struct mqtt *mqtt, const struct mosquitto_message *packet,
                        const mosquitto_property *properties);

#endif
