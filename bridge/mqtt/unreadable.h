/* mqtt/unreadable.h - packets that libmosquitto cannot take.
 *
 * libmosquitto closes the connection when a PUBLISH has, for example, a topic with control
 * characters, which some brokers let pass. The broker must send the packet again, before
 * everything that follows it, so one such packet would block the session for ever. We recognise it
 * and take it ourselves:
 *
 *     connection | what happens
 *     -----------+------------------------------------------------------------------------------
 *     1          | libmosquitto closes it, for what it read
 *     2          | each packet is looked at before libmosquitto reads it. One with a forbidden
 *                | topic is taken: libmosquitto does not get to see it. If libmosquitto closes the
 *                | connection again, for another reason, the packet at hand is the suspect
 *     3          | the suspect comes again, and is taken
 *
 * What is taken is stored as a dead letter, with an escaped topic, and acknowledged after the commit.
 * The packets are looked at for a minute after the last one that was taken; so of QoS 0, which is not
 * sent again, only the first is lost.
 *
 * With MQTT 3.1.1 a retained message comes again on each connection, because sluice must subscribe
 * again; so from the first one on, a connection begins with this look. What the broker had retained
 * and not yet sent when the first connection was closed is asked for again; of QoS 1 some of it can then
 * be stored twice.
 *
 * To look at a packet is possible because libmosquitto can be made to read one packet at a time, and
 * not a byte more: what it has not read is at the beginning of a packet.
 */
#ifndef SLUICE_MQTT_UNREADABLE_H
#define SLUICE_MQTT_UNREADABLE_H

#include "mqtt/internal.h"

/* What is next on the connection. */
enum unreadable_next {
    NEXT_IS_READABLE, /* libmosquitto may read */
    NEXT_IS_TAKEN,    /* it was the suspect: see mqtt_unreadable_message */
    NEXT_IS_MISSING,  /* the rest of the suspect has not arrived */
};

/* A connection was made, or libmosquitto closed one for what it read. */
void mqtt_unreadable_connected(struct mqtt *mqtt);
void mqtt_unreadable_closed(struct mqtt *mqtt);
/* Before libmosquitto reads. */
enum unreadable_next mqtt_unreadable_look(struct mqtt *mqtt);
/* At the end of a callback: libmosquitto reads nothing more before it returns, not even the rest of
 * a TLS record. That rest is not on the socket; so there may be more to read, although the loop does
 * not report it. */
void mqtt_unreadable_pause(const struct mqtt *mqtt);
bool mqtt_unreadable_has_more(struct mqtt *mqtt);
/* libmosquitto has read a PUBLISH to its end. */
void mqtt_unreadable_passed(struct mqtt *mqtt);
/* The packet that was taken; its topic is escaped. Valid until the next look. */
const struct mosquitto_message *mqtt_unreadable_message(const struct mqtt *mqtt);
/* After the commit, when nothing else is left to be written: acknowledges it. */
void mqtt_unreadable_acknowledge(struct mqtt *mqtt);
void mqtt_unreadable_done(struct mqtt *mqtt);

#endif
