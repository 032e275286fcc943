/* PubSubClient.h - a double of the library PubSubClient (2.8) for the tests.
 *
 * Debian does not have the library. This is not made from it, but from MQTT 3.1.1
 * and from what the library's documentation says of it, its limits first:
 *
 *  - it publishes at QoS 0 only: true means that bytes were handed to the network;
 *  - one buffer of 256 bytes serves both directions: publish() is false where
 *    5 + 2 + topic + payload do not fit, what comes in and does not fit is dropped
 *    without a word, and what a callback was given is overwritten by a publish();
 *  - connect() waits for the answer, as long as the socket time-out;
 *  - loop() takes one packet a call;
 *  - it pings after 15 s of silence, and after 15 more gives up with state -4.
 *
 * test_pubsubclient.cpp tests it. It compiles for AVR as well.
 */
#ifndef PUBSUBCLIENT_H
#define PUBSUBCLIENT_H

#include <Arduino.h>
#include <Client.h>
#include <IPAddress.h>

#define MQTT_CONNECTION_TIMEOUT      -4
#define MQTT_CONNECTION_LOST         -3
#define MQTT_CONNECT_FAILED          -2
#define MQTT_DISCONNECTED            -1
#define MQTT_CONNECTED               0
#define MQTT_CONNECT_BAD_PROTOCOL    1
#define MQTT_CONNECT_BAD_CLIENT_ID   2
#define MQTT_CONNECT_UNAVAILABLE     3
#define MQTT_CONNECT_BAD_CREDENTIALS 4
#define MQTT_CONNECT_UNAUTHORIZED    5

#define MQTT_MAX_PACKET_SIZE 256
#define MQTT_KEEPALIVE       15
#define MQTT_SOCKET_TIMEOUT  15

/* With -Werror, no sketch may take it for granted. */
#define MUST_CHECK __attribute__((warn_unused_result))

#define MQTT_CALLBACK_SIGNATURE void (*callback)(char *, uint8_t *, unsigned int)

class PubSubClient : public Print
{
  public:
    explicit PubSubClient(Client &client);
    ~PubSubClient()
    {
        free(buffer_);
    }
    PubSubClient &setServer(IPAddress ip, uint16_t port);
    PubSubClient &setServer(const char *host, uint16_t port); /* keeps host */
    PubSubClient &setCallback(MQTT_CALLBACK_SIGNATURE);
    PubSubClient &setKeepAlive(uint16_t seconds);
    PubSubClient &setSocketTimeout(uint16_t seconds);
    bool setBufferSize(uint16_t bytes);
    uint16_t getBufferSize()
    {
        return buffer_bytes_;
    }

    bool connect(const char *id)
    {
        return connect(id, NULL, NULL, NULL, 0, false, NULL, true);
    }
    bool connect(const char *id, const char *user, const char *password)
    {
        return connect(id, user, password, NULL, 0, false, NULL, true);
    }
    bool connect(const char *id, const char *will_topic, uint8_t will_qos, bool will_retain, const char *will)
    {
        return connect(id, NULL, NULL, will_topic, will_qos, will_retain, will, true);
    }
    bool connect(const char *id, const char *user, const char *password, const char *will_topic,
                 uint8_t will_qos, bool will_retain, const char *will, bool clean_session = true);
    void disconnect();
    bool connected();
    int state()
    {
        return state_;
    }
    bool loop();

    MUST_CHECK bool publish(const char *topic, const char *payload, bool retained = false);
    MUST_CHECK bool publish(const char *topic, const uint8_t *payload, unsigned int bytes,
                            bool retained = false);
    /* For payloads of any length: begin, write and print, end. */
    bool beginPublish(const char *topic, unsigned int bytes, bool retained);
    int endPublish()
    {
        return 1;
    }
    size_t write(uint8_t c) override;
    size_t write(const uint8_t *bytes, size_t count) override;
    bool subscribe(const char *topic, uint8_t qos = 0);
    bool unsubscribe(const char *topic);

  private:
    bool open();
    bool await_connack();
    bool fits(const char *text);
    void put_text(const char *text);
    void put_packet_id(uint16_t id);
    bool send_packet(uint8_t first);
    bool send_head(uint8_t first, uint32_t rest);
    bool read_byte(uint8_t *ret);
    bool read_packet(uint8_t *ret_first, uint32_t *ret_bytes);
    void take_publish(uint8_t first, uint16_t bytes);
    bool keep_alive();
    void give_up(int state);

    Client &client_;
    MQTT_CALLBACK_SIGNATURE = NULL;
    const char *host_ = NULL;
    IPAddress ip_;
    uint16_t port_ = 1883, keepalive_s_ = MQTT_KEEPALIVE, socket_timeout_s_ = MQTT_SOCKET_TIMEOUT;
    uint8_t *buffer_ = NULL;
    uint16_t buffer_bytes_ = 0;
    uint16_t used_ = 0; /* of the buffer, by the packet that is being made; its head is not in it */
    uint16_t packet_id_ = 0;
    uint32_t last_out_ms_ = 0, last_in_ms_ = 0;
    bool ping_is_out_ = false;
    int state_ = MQTT_DISCONNECTED;
};

#endif
