/* PubSubClient.cpp - see PubSubClient.h. Numbers of sections are of MQTT 3.1.1. */
#include "PubSubClient.h"

#ifdef SIM
#include "sim.h"
#endif

enum : uint8_t { /* 2.2.1; the low bits are flags */
                 CONNECT = 0x10,
                 CONNACK = 0x20,
                 PUBLISH = 0x30,
                 PUBACK = 0x40,
                 SUBSCRIBE = 0x82,
                 UNSUBSCRIBE = 0xa2,
                 PINGREQ = 0xc0,
                 PINGRESP = 0xd0,
                 DISCONNECT = 0xe0,
};

static const uint8_t HEAD_MOST = 5; /* a byte, and up to four of length */

PubSubClient::PubSubClient(Client &client) : client_(client)
{
    setBufferSize(MQTT_MAX_PACKET_SIZE);
}

PubSubClient &PubSubClient::setServer(IPAddress ip, uint16_t port)
{
    ip_ = ip;
    host_ = NULL;
    port_ = port;
    return *this;
}

PubSubClient &PubSubClient::setServer(const char *host, uint16_t port)
{
    host_ = host;
    port_ = port;
    return *this;
}

PubSubClient &PubSubClient::setCallback(void (*function)(char *, uint8_t *, unsigned int))
{
    callback = function;
    return *this;
}

PubSubClient &PubSubClient::setKeepAlive(uint16_t seconds)
{
    keepalive_s_ = seconds;
    return *this;
}

PubSubClient &PubSubClient::setSocketTimeout(uint16_t seconds)
{
    socket_timeout_s_ = seconds;
    return *this;
}

bool PubSubClient::setBufferSize(uint16_t bytes)
{
    uint8_t *buffer = bytes > 0 ? (uint8_t *)realloc(buffer_, bytes) : NULL;
    if (!buffer)
        return false;
    buffer_ = buffer;
    buffer_bytes_ = bytes;
    return true;
}

/* ---- packets out ---- */

bool PubSubClient::fits(const char *text)
{
    return HEAD_MOST + used_ + 2 + strlen(text) <= buffer_bytes_;
}

void PubSubClient::put_text(const char *text)
{
    uint16_t bytes = (uint16_t)strlen(text);
    buffer_[used_++] = (uint8_t)(bytes >> 8);
    buffer_[used_++] = (uint8_t)bytes;
    memcpy(buffer_ + used_, text, bytes);
    used_ = (uint16_t)(used_ + bytes);
}

void PubSubClient::put_packet_id(uint16_t id)
{
    buffer_[used_++] = (uint8_t)(id >> 8);
    buffer_[used_++] = (uint8_t)id;
}

bool PubSubClient::send_head(uint8_t first, uint32_t rest)
{
    uint8_t head[HEAD_MOST] = {first}, bytes = 1;
    do { /* 2.2.3 */
        head[bytes++] = (uint8_t)(rest % 128 | (rest > 127 ? 0x80 : 0));
        rest /= 128;
    } while (rest > 0);
    return client_.write(head, bytes) == bytes;
}

/* What was put into the buffer, as one packet. */
bool PubSubClient::send_packet(uint8_t first)
{
    uint16_t bytes = used_;
    used_ = 0;
    last_out_ms_ = millis();
    return send_head(first, bytes) && (bytes == 0 || client_.write(buffer_, bytes) == bytes);
}

bool PubSubClient::publish(const char *topic, const char *payload, bool retained)
{
    return publish(topic, (const uint8_t *)payload, payload ? (unsigned)strlen(payload) : 0, retained);
}

bool PubSubClient::publish(const char *topic, const uint8_t *payload, unsigned int bytes, bool retained)
{
    used_ = 0;
    if (!connected() || HEAD_MOST + 2 + strlen(topic) + bytes > buffer_bytes_)
        return false;
    put_text(topic);
    memcpy(buffer_ + used_, payload, bytes);
    used_ = (uint16_t)(used_ + bytes);
    return send_packet(PUBLISH | (retained ? 1 : 0));
}

bool PubSubClient::beginPublish(const char *topic, unsigned int bytes, bool retained)
{
    used_ = 0;
    if (!connected() || !fits(topic))
        return false;
    put_text(topic);
    uint16_t there = used_;
    used_ = 0;
    last_out_ms_ = millis();
    return send_head(PUBLISH | (retained ? 1 : 0), (uint32_t)there + bytes) &&
           client_.write(buffer_, there) == there;
}

size_t PubSubClient::write(uint8_t c)
{
    return write(&c, 1);
}

size_t PubSubClient::write(const uint8_t *bytes, size_t count)
{
    last_out_ms_ = millis();
    return client_.write(bytes, count);
}

bool PubSubClient::subscribe(const char *topic, uint8_t qos)
{
    used_ = 0;
    if (!topic || qos > 1 || !connected() || !fits(topic) || HEAD_MOST + 5 + strlen(topic) > buffer_bytes_)
        return false;
    put_packet_id(++packet_id_ ? packet_id_ : ++packet_id_);
    put_text(topic);
    buffer_[used_++] = qos;
    return send_packet(SUBSCRIBE);
}

bool PubSubClient::unsubscribe(const char *topic)
{
    used_ = 2;
    if (!topic || !connected() || !fits(topic))
        return false;
    used_ = 0;
    put_packet_id(++packet_id_ ? packet_id_ : ++packet_id_);
    put_text(topic);
    return send_packet(UNSUBSCRIBE);
}

/* ---- packets in ---- */

bool PubSubClient::read_byte(uint8_t *ret)
{
    uint32_t start_ms = millis();
    while (client_.available() <= 0) {
        if (!client_.connected() || millis() - start_ms >= socket_timeout_s_ * 1000UL)
            return false;
        yield();
    }
    *ret = (uint8_t)client_.read();
    return true;
}

/* One packet: what follows its head is in the buffer as far as that reaches. One that
 * does not fit, head and all, is no packet: its first byte is 0 then, which is reserved. */
bool PubSubClient::read_packet(uint8_t *ret_first, uint32_t *ret_bytes)
{
    uint8_t byte = 0x80, head = 1;
    uint32_t length = 0;
    if (!read_byte(ret_first))
        return false;
    for (uint8_t shift = 0; byte & 0x80; shift = (uint8_t)(shift + 7), head++) {
        if (shift > 21 || !read_byte(&byte))
            return false;
        length |= (uint32_t)(byte & 0x7f) << shift;
    }
    for (uint32_t i = 0; i < length; i++) {
        if (!read_byte(&byte))
            return false;
        if (i < buffer_bytes_)
            buffer_[i] = byte;
    }
    last_in_ms_ = millis();
    *ret_bytes = length;
    if (head + length > buffer_bytes_)
        *ret_first = 0;
    return true;
}

/* Topic and payload are handed over where they lie; the topic moves one to the
 * left, over its length, to make room for its end. */
void PubSubClient::take_publish(uint8_t first, uint16_t bytes)
{
    uint8_t qos = first >> 1 & 3;
    if (bytes < 2)
        return;
    uint16_t topic_bytes = (uint16_t)(buffer_[0] << 8 | buffer_[1]);
    uint32_t head = 2UL + topic_bytes + (qos > 0 ? 2 : 0);
    if (head > bytes)
        return;
    uint8_t id_high = buffer_[head - 2], id_low = buffer_[head - 1];
    memmove(buffer_ + 1, buffer_ + 2, topic_bytes);
    buffer_[1 + topic_bytes] = '\0';
#ifdef SIM
    if (!sim_loses_messages())
#endif
        if (callback)
            callback((char *)buffer_ + 1, buffer_ + head, (unsigned)(bytes - head));
    if (qos == 1) {
        used_ = 0;
        put_packet_id((uint16_t)(id_high << 8 | id_low));
        send_packet(PUBACK);
    }
}

bool PubSubClient::keep_alive()
{
    uint32_t now_ms = millis(), pause_ms = keepalive_s_ * 1000UL;
    bool silent = now_ms - last_in_ms_ >= pause_ms || now_ms - last_out_ms_ >= pause_ms;
    if (keepalive_s_ == 0 || !silent)
        return true;
    if (ping_is_out_) {
        give_up(MQTT_CONNECTION_TIMEOUT);
        return false;
    }
    used_ = 0;
    ping_is_out_ = true;
    last_in_ms_ = now_ms;
    return send_packet(PINGREQ);
}

bool PubSubClient::loop()
{
    uint8_t first;
    uint32_t bytes;
    if (!connected() || !keep_alive())
        return false;
    if (client_.available() <= 0)
        return true;
    if (!read_packet(&first, &bytes)) {
        give_up(MQTT_CONNECTION_LOST);
        return false;
    }
    if ((first & 0xf0) == PUBLISH)
        take_publish(first, (uint16_t)bytes);
    else if (first == PINGRESP)
        ping_is_out_ = false;
    return connected();
}

/* ---- the connection ---- */

bool PubSubClient::open()
{
    return (host_ ? client_.connect(host_, port_) : client_.connect(ip_, port_)) == 1;
}

bool PubSubClient::await_connack()
{
    uint8_t first;
    uint32_t bytes;
    if (!read_packet(&first, &bytes)) {
        give_up(client_.connected() ? MQTT_CONNECTION_TIMEOUT : MQTT_CONNECT_FAILED);
        return false;
    }
    if (first != CONNACK || bytes != 2) {
        give_up(MQTT_CONNECT_FAILED);
        return false;
    }
    if (buffer_[1] != 0) {
        give_up(buffer_[1]); /* 3.2.2.3 */
        return false;
    }
    state_ = MQTT_CONNECTED;
    ping_is_out_ = false;
    return true;
}

bool PubSubClient::connect(const char *id, const char *user, const char *password, const char *will_topic,
                           uint8_t will_qos, bool will_retain, const char *will, bool clean_session)
{
    if (connected())
        return true;
    if (!open()) {
        state_ = MQTT_CONNECT_FAILED;
        return false;
    }
    uint8_t flags =
        (uint8_t)((clean_session ? 2 : 0) | (will_topic ? 4 | will_qos << 3 | (will_retain ? 0x20 : 0) : 0) |
                  (user ? 0x80 | (password ? 0x40 : 0) : 0)); /* 3.1.2.3 */
    const char *texts[] = {id, will_topic, will_topic ? will : NULL, user, user ? password : NULL};
    used_ = 0;
    put_text("MQTT");
    buffer_[used_++] = 4;
    buffer_[used_++] = flags;
    put_packet_id(keepalive_s_); /* two bytes, likewise */
    for (const char *text : texts) {
        if (text && !fits(text)) {
            give_up(MQTT_CONNECT_FAILED);
            return false;
        }
        if (text)
            put_text(text);
    }
    if (!send_packet(CONNECT)) {
        give_up(MQTT_CONNECT_FAILED);
        return false;
    }
    last_in_ms_ = millis();
    return await_connack();
}

void PubSubClient::give_up(int state)
{
    client_.stop();
    state_ = state;
}

void PubSubClient::disconnect()
{
    used_ = 0;
    if (connected())
        send_packet(DISCONNECT);
    give_up(MQTT_DISCONNECTED);
}

bool PubSubClient::connected()
{
    if (state_ != MQTT_CONNECTED)
        return false;
    if (client_.connected())
        return true;
    give_up(MQTT_CONNECTION_LOST);
    return false;
}
