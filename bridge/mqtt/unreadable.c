/* mqtt/unreadable.c - see mqtt/unreadable.h.
 *
 * A forbidden topic is seen at once. Another suspect is known again by a digest of its first bytes,
 * without the DUP flag. Of a packet only those parts are read that the row needs (MQTT 5.0 and 3.1.1,
 * sections 2.1.1 and 3.3).
 */
#include "mqtt/unreadable.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

enum {
    LOOK_BYTES = 16 * 1024, /* a TLS record has no more */
    DIGEST_BYTES = 1024,
    PUBLISH = 0x30,
    PUBACK = 0x40,
    TYPE = 0xf0,
    DUP = 0x08,
    QOS_1 = 0x02,
    QOS_2 = 0x04,
    RETAIN = 0x01,
    LENGTH_BYTES_MOST = 4,
};

/* ---- the connection ---- */

static void lose(struct mqtt *mqtt)
{
    mqtt->closed = true;
    mqtt->close_reason = MOSQ_ERR_CONN_LOST;
}

/* The number of bytes; 0: there are none now. At the end of the connection a peek returns 0 too, and
 * libmosquitto will find it. */
static size_t receive(struct mqtt *mqtt, void *to, size_t bytes, bool peek)
{
    SSL *tls = mosquitto_ssl_get(mqtt->client);
    int most = bytes < LOOK_BYTES ? (int)bytes : LOOK_BYTES;
    ssize_t got = !tls ? recv(mosquitto_socket(mqtt->client), to, bytes, MSG_DONTWAIT | (peek ? MSG_PEEK : 0))
                  : peek ? SSL_peek(tls, to, most)
                         : SSL_read(tls, to, most);
    if (got > 0)
        return (size_t)got;
    bool waits = tls ? SSL_get_error(tls, (int)got) == SSL_ERROR_WANT_READ : got < 0 && errno == EAGAIN;
    if (!waits && !peek)
        lose(mqtt);
    return 0;
}

static bool transmit(struct mqtt *mqtt, const void *from, size_t bytes)
{
    SSL *tls = mosquitto_ssl_get(mqtt->client);
    ssize_t sent = tls ? SSL_write(tls, from, (int)bytes)
                       : send(mosquitto_socket(mqtt->client), from, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent == (ssize_t)bytes;
}

/* ---- the parts of a packet ---- */

/* Reads a number in 7 bits a byte (MQTT 5.0, section 1.5.5). Returns where it ends, or NULL. */
static const uint8_t *read_length(const uint8_t *at, const uint8_t *end, size_t *ret)
{
    size_t length = 0;
    for (unsigned i = 0; i < LENGTH_BYTES_MOST && at < end; i++) {
        length |= (size_t)(*at & 0x7f) << (7 * i);
        if (!(*at++ & 0x80)) {
            *ret = length;
            return at;
        }
    }
    return NULL;
}

static const uint8_t *read_two(const uint8_t *at, const uint8_t *end, size_t *ret)
{
    if (end - at < 2)
        return NULL;
    *ret = (size_t)(at[0] << 8 | at[1]);
    return at + 2;
}

/* The topic as a topic: what cannot be in one becomes \xNN. */
static void escape_topic(struct buf *out, const char *topic, size_t bytes)
{
    buf_reset(out);
    for (size_t i = 0; i < bytes;) {
        uint32_t code = 0;
        size_t length = utf8_sequence(topic + i, bytes - i, &code);
        bool fits = length > 0 && code != '+' && code != '#' &&
                    mosquitto_validate_utf8(topic + i, (int)length) == MOSQ_ERR_SUCCESS;
        if (fits)
            buf_append(out, topic + i, length);
        else
            buf_printf(out, "\\x%02x", (unsigned)(uint8_t)topic[i]);
        i += fits ? length : 1;
    }
    if (bytes == 0)
        buf_append_text(out, "\\");
}

/* libmosquitto will not take the PUBLISH, because of its topic (MQTT 5.0 and 3.1.1, sections 1.5 and
 * 3.3.2.1). False if the topic ends after the end. */
static bool has_forbidden_topic(const struct mqtt *mqtt, const uint8_t *at, const uint8_t *end)
{
    size_t bytes;
    at = read_two(at, end, &bytes);
    if (!at || (size_t)(end - at) < bytes)
        return false;
    return bytes == 0 ? mqtt->use_v311
                      : mosquitto_validate_utf8((const char *)at, (int)bytes) != MOSQ_ERR_SUCCESS;
}

/* Reads the whole PUBLISH. False: not even its packet identifier can be found. */
static bool read_publish(struct mqtt *mqtt)
{
    struct unreadable *unreadable = &mqtt->unreadable;
    const uint8_t *packet = (const uint8_t *)unreadable->packet.data,
                  *end = packet + unreadable->packet.bytes;
    size_t bytes, packet_id = 0, properties = 0;
    bool has_id = packet[0] & QOS_1;
    const uint8_t *at = read_length(packet + 1, end, &bytes);
    at = at ? read_two(at, end, &bytes) : NULL;
    if (!at || (size_t)(end - at) < bytes)
        return false;
    escape_topic(&unreadable->topic, (const char *)at, bytes);
    at = has_id ? read_two(at + bytes, end, &packet_id) : at + bytes;
    if (has_id && packet_id == 0)
        return false;
    const uint8_t *after = mqtt->use_v311 ? at : read_length(at, end, &properties);
    if (after && (size_t)(end - after) >= properties)
        at = after + properties; /* otherwise they are shown with the payload */
    unreadable->message = (struct mosquitto_message){.mid = (int)packet_id,
                                                     .topic = unreadable->topic.data,
                                                     .payload = (void *)(uintptr_t)at,
                                                     .payloadlen = (int)(end - at),
                                                     .qos = has_id,
                                                     .retain = packet[0] & RETAIN};
    mqtt->redelivery.dup = packet[0] & DUP;
    unreadable->ack_due = has_id;
    return true;
}

/* ---- looking ---- */

void mqtt_unreadable_connected(struct mqtt *mqtt)
{
    struct unreadable *unreadable = &mqtt->unreadable;
    unreadable->handed = 0;
    unreadable->left = 0;
    unreadable->ack_due = unreadable->inside = false;
    unreadable->is_blind = false;
    if (unreadable->taken_ms != 0)
        mqtt->one_by_one = true; /* the broker sends a retained one again, perhaps */
}

void mqtt_unreadable_closed(struct mqtt *mqtt)
{
    if (mqtt->unreadable.handed != 0)
        mqtt->unreadable.suspect = mqtt->unreadable.handed;
    if (mqtt->redelivery.retained_due)
        mqtt->unreadable.retained_left = true;
}

void mqtt_unreadable_passed(struct mqtt *mqtt)
{
    mqtt->unreadable.inside = false;
    mqtt->unreadable.handed = 0;
}

/* libmosquitto 2.0 takes it for an error of the socket. */
void mqtt_unreadable_pause(const struct mqtt *mqtt)
{
    if (mqtt->one_by_one)
        errno = EAGAIN;
}

bool mqtt_unreadable_has_more(struct mqtt *mqtt)
{
    bool reads = mqtt->one_by_one && mqtt->link == LINK_UP && !mqtt->closed;
    SSL *tls = reads ? mosquitto_ssl_get(mqtt->client) : NULL;
    return tls && SSL_pending(tls) > 0 && !mosquitto_want_write(mqtt->client);
}

/* Reads what is there of the suspect. */
static enum unreadable_next go_on(struct mqtt *mqtt)
{
    struct unreadable *unreadable = &mqtt->unreadable;
    char part[LOOK_BYTES];
    size_t got;
    while (unreadable->left > 0 &&
           (got = receive(mqtt, part, unreadable->left < sizeof part ? unreadable->left : sizeof part,
                          false)) > 0) {
        buf_append(&unreadable->packet, part, got);
        unreadable->left -= got;
    }
    if (unreadable->left > 0)
        return NEXT_IS_MISSING;
    unreadable->suspect = 0;
    unreadable->taken_ms = clock_uptime_ms();
    if (read_publish(mqtt)) {
        log_warning(EVENT_MESSAGE_UNREADABLE,
                    "topic %s: MQTT forbids this message of %d bytes, which closed the connection; it "
                    "becomes a dead letter, if a route takes its topic. Find its publisher",
                    unreadable->message.topic, unreadable->message.payloadlen);
        return NEXT_IS_TAKEN;
    }
    log_error(EVENT_MESSAGE_UNREADABLE,
              "a PUBLISH of %zu bytes has no packet identifier, so it cannot be acknowledged",
              unreadable->packet.bytes);
    return NEXT_IS_READABLE;
}

enum unreadable_next mqtt_unreadable_look(struct mqtt *mqtt)
{
    struct unreadable *unreadable = &mqtt->unreadable;
    if (unreadable->left > 0)
        return go_on(mqtt);
    if (!mqtt->one_by_one || unreadable->is_blind || unreadable->inside)
        return NEXT_IS_READABLE;
    uint8_t head[LOOK_BYTES];
    size_t there = receive(mqtt, head, sizeof head, true), bytes;
    const uint8_t *after = there > 1 ? read_length(head + 1, head + there, &bytes) : NULL;
    if (there == 0)
        return NEXT_IS_READABLE;
    if (!after) { /* its length is not here, or is none */
        unreadable->is_blind = true;
        unreadable->handed = 0;
        return NEXT_IS_READABLE;
    }
    size_t total = (size_t)(after - head) + bytes;
    size_t known = total < DIGEST_BYTES ? total : DIGEST_BYTES;
    bool is_publish = (head[0] & TYPE) == PUBLISH;
    unreadable->inside = is_publish && there < total;
    unreadable->is_blind = !is_publish && there < total; /* its end cannot be told */
    head[0] &= (uint8_t)~DUP;
    bool may_be_suspect = is_publish && head[0] & QOS_1 && there >= known;
    uint64_t digest = may_be_suspect ? replay_digest("", head, known) : 0;
    unreadable->handed = digest;
    bool is_forbidden = is_publish && !(head[0] & QOS_2) &&
                        has_forbidden_topic(mqtt, after, head + (there < total ? there : total));
    if (!is_forbidden && (digest == 0 || digest != unreadable->suspect))
        return NEXT_IS_READABLE;
    unreadable->handed = 0;
    unreadable->inside = false;
    unreadable->left = total;
    mqtt_unreadable_done(mqtt);
    buf_init(&unreadable->packet, total);
    buf_init(&unreadable->topic, 4 * UINT16_MAX + 1);
    return go_on(mqtt);
}

const struct mosquitto_message *mqtt_unreadable_message(const struct mqtt *mqtt)
{
    return &mqtt->unreadable.message;
}

/* If it does not leave, the broker sends the packet again, and then we know it. */
void mqtt_unreadable_acknowledge(struct mqtt *mqtt)
{
    struct unreadable *unreadable = &mqtt->unreadable;
    if (!unreadable->ack_due || mqtt->link != LINK_UP)
        return;
    unreadable->ack_due = false;
    int packet_id = unreadable->message.mid;
    const uint8_t ack[] = {PUBACK, 2, (uint8_t)(packet_id >> 8), (uint8_t)packet_id};
    if (!transmit(mqtt, ack, sizeof ack))
        lose(mqtt);
    buf_done(&unreadable->packet);
}

void mqtt_unreadable_done(struct mqtt *mqtt)
{
    buf_done(&mqtt->unreadable.packet);
    buf_done(&mqtt->unreadable.topic);
}
