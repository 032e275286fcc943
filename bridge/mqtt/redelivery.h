/* mqtt/redelivery.h - messages that the broker sends again, or late.
 *
 * When a connection ends, the broker sends again each message whose acknowledgement it has
 * not read: first of all, in order, with the same packet identifier and with DUP set (MQTT
 * 5.0, section 4.4). What we had stored of them must not be stored again. And nothing else
 * may be taken for a redelivery: two equal readings are two readings.
 *
 * That works with a broker that counts packet identifiers up to 65535 before it uses one again, as
 * Mosquitto does. A broker that gives the lowest free identifier may send us an equal
 * reading under the identifier of the one before; if the connection breaks meanwhile, both that
 * reading and a redelivery of the one before come with DUP=1. So sluice watches the identifiers.
 * As soon as a low one is not higher than that of the new message before it, nothing is a redelivery: messages may be stored twice then, and none is lost. This is
 * stored with the same commit. (Left open: of such a broker, the second message of a session's
 * life, when it is equal to the first one, and the connection breaks while it is on its way.)
 *
 * A PUBLISH is
 *
 *     in a session that is |  DUP  | with an identifier that  |
 *                          |       | we know for its topic    |
 *                          |       | and payload              |
 *     ---------------------+-------+--------------------------+-----------------------------
 *     new                  | any   | any                      | new
 *     resumed              | 0     | any                      | new; so is all that follows
 *     resumed, and no DUP=0| 1     | no                       | new: it was sent to us, and we
 *       came before        |       |                          |   ended before the commit
 *                          | 1     | yes                      | a redelivery: acknowledged
 *                          |       |                          |   with the others, not stored
 *
 * We know the messages that are stored and not confirmed: the broker may not have read
 * their acknowledgements. They are in memory while sluice runs, and are read from the queue
 * after a restart (queue/confirm.h). When a message gets an identifier that we know from an
 * earlier connection, the broker has lost its memory, and we forget that identifier.
 *
 * Messages are confirmed by
 *
 *     CONNACK: a new session                  all that are stored: none comes again
 *     a round trip                            all that were stored when it began; but the first
 *                                             of a resumed session confirms nothing, because the
 *                                             broker reads its question before it reads our
 *                                             acknowledgements of the redeliveries
 *     a resumed session begins with a         all that are stored before it: redeliveries come
 *     new message                             first, so there is none. They are saved with
 *                                             the next commit.
 *     a resumed session begins with a         all that are stored before that message:
 *     redelivery                              redeliveries come in order
 *                                             (both with an exception: see confirm_by_first)
 *
 * A round trip is an UNSUBSCRIBE from a filter that was never subscribed, sent after
 * acknowledgements: it has no other effect, and the broker reads in order, so its UNSUBACK
 * proves that it has read them. That they were written proves nothing: if we crash, what the
 * broker has not read is lost with the connection.
 *
 * Messages are late, from a resumed session on, until the broker has no message left that
 * is older than the connection. MQTT does not tell that, but a round trip does. Beyond its
 * window of unacknowledged messages the broker sends a message only when an acknowledgement
 * makes room, which is before it reads the question. So if it had any left, a whole window
 * of messages comes before its response. If none comes, or fewer than it is known to send
 * without an acknowledgement, it had none. The time when that round trip began is the lower
 * bound for the time of messages that are late after the next disconnect; it is kept once
 * the messages that came during the round trip are stored.
 */
#ifndef SLUICE_MQTT_REDELIVERY_H
#define SLUICE_MQTT_REDELIVERY_H

#include "mqtt/internal.h"

/* Reads from the queue what the broker may send again. route_count: the rows that one message
 * may have. */
void mqtt_redelivery_init(struct mqtt *mqtt, size_t route_count);
/* A CONNACK came. */
void mqtt_redelivery_connected(struct mqtt *mqtt, bool session_present);
/* A PUBLISH came. Returns whether it is a redelivery. */
bool mqtt_redelivery_received(struct mqtt *mqtt, const struct mosquitto_message *packet);
/* It was none, has a QoS above 0, and the open transaction has its row or its fingerprint. */
void mqtt_redelivery_stored(struct mqtt *mqtt);
/* The transaction was committed, or not. */
void mqtt_redelivery_committed(struct mqtt *mqtt, bool is_committed);

/* Begins a round trip, unless one is in flight or it would tell nothing new. */
void mqtt_round_trip_begin(struct mqtt *mqtt);
/* An UNSUBACK came. Returns whether it ends the round trip. */
bool mqtt_round_trip_end(struct mqtt *mqtt, int packet_id);

#endif
