/* The double of PubSubClient does what the library's documentation and MQTT 3.1.1 say. */
#include <PubSubClient.h>

#include "check.h"

#include <string>
#include <vector>

/* ---- a board whose network and clock are the test's ---- */

static uint32_t now_ms;

uint32_t millis()
{
    return now_ms;
}

void yield()
{
    now_ms += 10;
}

size_t Print::write(const uint8_t *bytes, size_t count)
{
    size_t written = 0;
    while (written < count && write(bytes[written]) == 1)
        written++;
    return written;
}

size_t Print::print(const char *text)
{
    return write((const uint8_t *)text, strlen(text));
}

class ScriptedClient : public Client
{
  public:
    int connect(IPAddress, uint16_t port) override
    {
        return connect("address", port);
    }
    int connect(const char *host, uint16_t port) override
    {
        this->host = host;
        this->port = port;
        up = reachable;
        return reachable;
    }
    size_t write(uint8_t c) override
    {
        return write(&c, 1);
    }
    size_t write(const uint8_t *bytes, size_t count) override
    {
        if (!up)
            return 0;
        sent.append((const char *)bytes, count);
        return count;
    }
    int available() override
    {
        return up ? (int)in.size() : 0;
    }
    int read() override
    {
        if (in.empty())
            return -1;
        uint8_t c = (uint8_t)in[0];
        in.erase(0, 1);
        return c;
    }
    int read(uint8_t *, size_t) override
    {
        return -1;
    }
    int peek() override
    {
        return in.empty() ? -1 : (uint8_t)in[0];
    }
    void stop() override
    {
        up = false;
    }
    uint8_t connected() override
    {
        return up;
    }
    operator bool() override
    {
        return up;
    }

    bool reachable = true, up = false;
    std::string host, sent, in;
    uint16_t port = 0;
};

static const std::string CONNACK_OK("\x20\x02\x00\x00", 4);

static std::string bytes(std::initializer_list<int> list)
{
    return std::string(list.begin(), list.end());
}

/* The packets in a stream: first byte and what follows the length. */
static std::vector<std::pair<uint8_t, std::string>> packets(std::string stream)
{
    std::vector<std::pair<uint8_t, std::string>> found;
    while (!stream.empty()) {
        size_t length = 0, at = 1;
        for (unsigned shift = 0;; shift += 7) {
            uint8_t byte = (uint8_t)stream.at(at++);
            length |= (size_t)(byte & 0x7f) << shift;
            if (!(byte & 0x80))
                break;
        }
        CHECK(stream.size() >= at + length);
        found.push_back({(uint8_t)stream[0], stream.substr(at, length)});
        stream.erase(0, at + length);
    }
    return found;
}

static std::string publish_packet(const std::string &topic, const std::string &payload, uint8_t first = 0x30,
                                  const std::string &id = "")
{
    size_t length = 2 + topic.size() + id.size() + payload.size();
    std::string packet(1, (char)first);
    do {
        packet += (char)(length % 128 | (length > 127 ? 0x80 : 0));
        length /= 128;
    } while (length > 0);
    return packet + bytes({(int)topic.size() >> 8, (int)topic.size() & 0xff}) + topic + id + payload;
}

static std::vector<std::pair<std::string, std::string>> heard;

static void on_message(char *topic, uint8_t *payload, unsigned int count)
{
    heard.push_back({topic, std::string((char *)payload, count)});
}

struct Device {
    ScriptedClient network;
    PubSubClient mqtt{network};

    Device()
    {
        heard.clear();
        mqtt.setServer("broker", 1883).setCallback(on_message);
    }
    void connect()
    {
        network.in += CONNACK_OK;
        CHECK(mqtt.connect("id"));
        network.sent.clear();
    }
};

/* ---- connecting ---- */

TEST(connect_sends_what_the_specification_says)
{
    Device device;
    CHECK(device.mqtt.state() == MQTT_DISCONNECTED);
    device.network.in = CONNACK_OK;
    CHECK(device.mqtt.connect("wino", "u", "pw", "t", 1, true, "off"));
    CHECK(device.network.host == "broker" && device.network.port == 1883);
    CHECK(device.mqtt.connected() && device.mqtt.state() == MQTT_CONNECTED);
    CHECK(device.network.sent ==
          bytes({0x10, 31, 0, 4,   'M', 'Q', 'T', 'T', 4,   0xee, 0, 15,  0, 4, 'w', 'i', 'n',
                 'o',  0,  1, 't', 0,   3,   'o', 'f', 'f', 0,    1, 'u', 0, 2, 'p', 'w'}));
}

TEST(a_connect_without_anything)
{
    Device device;
    device.network.in = CONNACK_OK;
    CHECK(device.mqtt.connect("a"));
    CHECK(device.network.sent == bytes({0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 15, 0, 1, 'a'}));
    CHECK(device.mqtt.connect("a")); /* already */
}

TEST(a_session_may_be_kept)
{
    Device device;
    device.network.in = CONNACK_OK;
    CHECK(device.mqtt.connect("a", NULL, NULL, NULL, 0, false, NULL, false));
    CHECK(device.network.sent[9] == 0);
}

TEST(a_broker_that_cannot_be_reached)
{
    Device device;
    device.network.reachable = false;
    CHECK(!device.mqtt.connect("a"));
    CHECK(device.mqtt.state() == MQTT_CONNECT_FAILED && !device.mqtt.connected());
}

TEST(a_broker_that_refuses)
{
    for (int reason = 1; reason <= 5; reason++) {
        Device device;
        device.network.in = bytes({0x20, 2, 0, reason});
        CHECK(!device.mqtt.connect("a"));
        CHECK(device.mqtt.state() == reason && !device.network.up);
    }
}

TEST(a_broker_that_does_not_answer_takes_the_socket_timeout)
{
    Device device;
    device.mqtt.setSocketTimeout(2);
    uint32_t start_ms = now_ms;
    CHECK(!device.mqtt.connect("a"));
    CHECK(now_ms - start_ms >= 2000 && now_ms - start_ms < 2100);
    CHECK(device.mqtt.state() == MQTT_CONNECTION_TIMEOUT && !device.network.up);
    device.mqtt.setSocketTimeout(MQTT_SOCKET_TIMEOUT);
    start_ms = now_ms;
    CHECK(!device.mqtt.connect("a"));
    CHECK(now_ms - start_ms >= 15000);
}

TEST(a_connection_that_ends)
{
    Device device;
    device.connect();
    device.network.up = false;
    CHECK(!device.mqtt.connected() && device.mqtt.state() == MQTT_CONNECTION_LOST);
    CHECK(!device.mqtt.loop());
    device.connect();
    device.mqtt.disconnect();
    CHECK(device.network.sent == bytes({0xe0, 0}));
    CHECK(device.mqtt.state() == MQTT_DISCONNECTED);
}

/* ---- publishing ---- */

TEST(publish_is_qos_0)
{
    Device device;
    device.connect();
    CHECK(device.mqtt.publish("t", "hello"));
    CHECK(device.mqtt.publish("t", "x", true));
    CHECK(device.mqtt.publish("t", (const uint8_t *)"a\0b", 3));
    CHECK(device.network.sent == publish_packet("t", "hello") + publish_packet("t", "x", 0x31) +
                                     publish_packet("t", std::string("a\0b", 3)));
}

TEST(publish_is_false_offline)
{
    Device device;
    CHECK(!device.mqtt.publish("t", "x"));
    device.connect();
    device.network.up = false;
    CHECK(!device.mqtt.publish("t", "x"));
}

TEST(publish_is_false_where_it_does_not_fit)
{
    Device device;
    device.connect();
    std::string fits(256 - 5 - 2 - 5, 'x'), too_long = fits + "x";
    CHECK(device.mqtt.publish("topic", fits.c_str()));
    CHECK(packets(device.network.sent).size() == 1);
    CHECK(packets(device.network.sent)[0].second.size() == 2 + 5 + fits.size());
    CHECK(!device.mqtt.publish("topic", too_long.c_str()));
    CHECK(device.mqtt.setBufferSize(300) && device.mqtt.getBufferSize() == 300);
    CHECK(device.mqtt.publish("topic", too_long.c_str()));
    CHECK(!device.mqtt.setBufferSize(0) && device.mqtt.getBufferSize() == 300);
}

TEST(a_long_payload_goes_out_in_pieces)
{
    Device device;
    device.connect();
    std::string payload(1000, 'y');
    CHECK(device.mqtt.beginPublish("t", 1000, true));
    for (int i = 0; i < 10; i++)
        CHECK(device.mqtt.write((const uint8_t *)payload.data() + i * 100, 100) == 100);
    CHECK(device.mqtt.endPublish() == 1);
    CHECK(device.network.sent == publish_packet("t", payload, 0x31));
    device.network.sent.clear();
    CHECK(device.mqtt.beginPublish("t", 2, false));
    CHECK(device.mqtt.print("ab") == 2);
    CHECK(device.network.sent == publish_packet("t", "ab"));
}

/* ---- subscribing and hearing ---- */

TEST(subscribe_at_qos_0_or_1)
{
    Device device;
    CHECK(!device.mqtt.subscribe("t"));
    device.connect();
    CHECK(device.mqtt.subscribe("ab"));
    CHECK(device.mqtt.subscribe("c", 1));
    CHECK(!device.mqtt.subscribe("c", 2));
    CHECK(device.mqtt.unsubscribe("c"));
    CHECK(device.network.sent ==
          bytes({0x82, 7, 0, 1, 0, 2, 'a', 'b', 0, 0x82, 6, 0, 2, 0, 1, 'c', 1, 0xa2, 5, 0, 3, 0, 1, 'c'}));
    CHECK(!device.mqtt.subscribe(std::string(250, 'x').c_str()));
}

TEST(a_call_of_loop_takes_one_packet)
{
    Device device;
    device.connect();
    device.network.in = publish_packet("a", "1") + publish_packet("b/c", "") + bytes({0x90, 3, 0, 1, 0});
    CHECK(device.mqtt.loop() && heard.size() == 1);
    CHECK(heard[0].first == "a" && heard[0].second == "1");
    CHECK(device.mqtt.loop() && heard.size() == 2);
    CHECK(heard[1].first == "b/c" && heard[1].second == "");
    CHECK(device.mqtt.loop() && heard.size() == 2 && device.network.in.empty());
    CHECK(device.mqtt.loop());
}

TEST(a_message_at_qos_1_is_acknowledged_after_the_callback)
{
    Device device;
    device.connect();
    device.network.in = publish_packet("a", "1", 0x32, bytes({0x12, 0x34}));
    CHECK(device.mqtt.loop() && heard.size() == 1 && heard[0].second == "1");
    CHECK(device.network.sent == bytes({0x40, 2, 0x12, 0x34}));
}

/* Its head, here of 3 bytes, counts. */
TEST(what_does_not_fit_is_dropped_without_a_word)
{
    const size_t most = 256 - 3 - 2 - 1;
    Device device;
    device.connect();
    device.network.in = publish_packet("a", std::string(400, 'z')) +
                        publish_packet("a", std::string(most + 1, 'y')) +
                        publish_packet("a", std::string(most, 'f')) + publish_packet("a", "after");
    CHECK(device.mqtt.loop() && heard.empty());
    CHECK(device.mqtt.loop() && heard.empty());
    CHECK(device.mqtt.loop() && heard.size() == 1 && heard[0].second.size() == most);
    CHECK(device.mqtt.loop() && heard.size() == 2 && heard[1].second == "after");
}

static PubSubClient *answering;
static std::string after_answer;

static void on_message_answer(char *, uint8_t *payload, unsigned int count)
{
    CHECK(answering->publish("other", "overwritten"));
    after_answer.assign((char *)payload, count);
}

TEST(a_publish_in_the_callback_overwrites_what_it_was_given)
{
    Device device;
    device.connect();
    answering = &device.mqtt;
    device.mqtt.setCallback(on_message_answer);
    device.network.in = publish_packet("a/long/topic", "payload");
    CHECK(device.mqtt.loop());
    CHECK(device.network.sent == publish_packet("other", "overwritten"));
    CHECK(after_answer != "payload");
}

TEST(packets_that_are_nonsense)
{
    for (const std::string &nonsense :
         {bytes({0x30, 0}), bytes({0x30, 1, 0}), bytes({0x30, 3, 0, 9, 'a'}), bytes({0x32, 3, 0, 1, 'a'})}) {
        Device device;
        device.connect();
        device.network.in = nonsense;
        CHECK(device.mqtt.loop() && heard.empty());
    }
    Device device;
    device.connect();
    device.network.in = bytes({0x30, 0x80, 0x80, 0x80, 0x80, 1});
    CHECK(!device.mqtt.loop() && device.mqtt.state() == MQTT_CONNECTION_LOST);
}

/* ---- keeping alive ---- */

TEST(it_pings_after_silence_and_gives_up_after_more)
{
    Device device;
    device.connect();
    now_ms += 14999;
    CHECK(device.mqtt.loop() && device.network.sent.empty());
    now_ms += 1;
    CHECK(device.mqtt.loop() && device.network.sent == bytes({0xc0, 0}));
    now_ms += 14999;
    CHECK(device.mqtt.loop());
    now_ms += 1;
    CHECK(!device.mqtt.loop());
    CHECK(device.mqtt.state() == MQTT_CONNECTION_TIMEOUT && !device.network.up);
}

TEST(an_answered_ping_keeps_it)
{
    now_ms = 0xffffe000; /* over the start of millis() */
    Device device;
    device.mqtt.setKeepAlive(5);
    device.connect();
    for (int i = 0; i < 5; i++) {
        now_ms += 5000;
        CHECK(device.mqtt.loop());
        CHECK(device.network.sent == bytes({0xc0, 0}));
        device.network.sent.clear();
        device.network.in = bytes({0xd0, 0});
        CHECK(device.mqtt.loop());
    }
    CHECK(device.mqtt.state() == MQTT_CONNECTED);
}
