/* esp32_mqtt.ino - soil moisture from an ESP32, and no reading is lost.
 *
 * Board: any ESP32. Library: PubSubClient. Copy secrets.example.h to secrets.h and
 * fill it in.
 *
 * Once a minute it measures, and publishes to garden/NAME/sensor
 *
 *     {"b":131099,"s":17,"lo":17,"age":3,"host":"wino-0013a2","soil":512}
 *
 * PubSubClient publishes at QoS 0: when publish() returns true, the bytes were handed
 * to the network, and may still be lost. So the sketch keeps each reading (see
 * reading_ring.h) until sluice acknowledges on garden/NAME/ack that the reading is on its
 * disk. For that, the route in sluice.conf needs ack_topic = garden/{2}/ack.
 *
 * The retained message on garden/NAME/status is "online" or "offline".
 */
#include <Preferences.h>
#include <PubSubClient.h>
#include <WiFi.h>

#include "reading_ring.h"
#include "secrets.h"

static const uint8_t PROBE = 34;       /* a pin of ADC1, because Wi-Fi uses ADC2 */
static const uint8_t PROBE_POWER = 25; /* GPIO25 */

struct Reading {
    int16_t soil;
};

static WiFiClient network;
static PubSubClient mqtt(network);
static ReadingRing<Reading, 100> ring;
static Pause<1000, 60000> reconnect;
static char name[16]; /* "wino-" and the end of the MAC address: unique */
static char sensor_topic[32], ack_topic[32], status_topic[32];

/* Returns how often the device was started; the counter is in flash. */
static uint16_t count_starts()
{
    Preferences flash;
    flash.begin("readings", false);
    uint16_t starts = (uint16_t)(flash.getUShort("starts", 0) + 1);
    flash.putUShort("starts", starts);
    flash.end();
    return starts;
}

/* A message from the broker: an acknowledgement, because we only subscribe to that topic. */
static void on_message(char *topic, uint8_t *payload, unsigned int bytes)
{
    (void)topic;
    if (!ring.acknowledge(payload, bytes, millis()))
        return;
    reconnect.reset(); /* the connection works */
    Serial.printf("stored up to reading %lu\n", (unsigned long)ring.oldest() - 1);
}

void setup()
{
    Serial.begin(115200);
    pinMode(PROBE_POWER, OUTPUT);
    snprintf(name, sizeof name, "wino-%06x", (unsigned)(ESP.getEfuseMac() >> 24));
    snprintf(sensor_topic, sizeof sensor_topic, "garden/%s/sensor", name);
    snprintf(ack_topic, sizeof ack_topic, "garden/%s/ack", name);
    snprintf(status_topic, sizeof status_topic, "garden/%s/status", name);
    ring.begin(count_starts(), (uint32_t)random(INT32_MAX)); /* from the random generator of the chip */

    WiFi.mode(WIFI_STA);
    WiFi.begin(WIFI_NAME, WIFI_PASSWORD); /* connects and reconnects by itself */
    mqtt.setServer(BROKER_HOST, BROKER_PORT);
    mqtt.setCallback(on_message);
    mqtt.setSocketTimeout(2); /* seconds for a response; 3 s for a TCP connection: the watchdog waits 5 s */
}

/* A permanent current destroys the probe, so it has power only during the measurement. */
static void measure()
{
    Reading reading;
    digitalWrite(PROBE_POWER, HIGH);
    delay(10);
    reading.soil = (int16_t)analogRead(PROBE);
    digitalWrite(PROBE_POWER, LOW);
    ring.put(reading, millis());
    Serial.printf("measured: soil %d; %u readings are held, %lu had to be dropped\n", reading.soil,
                  ring.held(), (unsigned long)ring.dropped());
}

static void connect()
{
    if (mqtt.connect(name, BROKER_USER, BROKER_PASSWORD, status_topic, 0, true, "offline") &&
        mqtt.publish(status_topic, "online", true) && mqtt.subscribe(ack_topic)) {
        Serial.println("broker: connected");
        ring.restart();
    } else {
        Serial.printf("broker: no connection, state %d\n", mqtt.state());
        mqtt.disconnect();
    }
    reconnect.begin(millis(), ring.chance()); /* from now, because the attempt may have taken long */
}

static void publish_reading()
{
    char text[128];
    int bytes = snprintf(
        text, sizeof text, "{\"b\":%lu,\"s\":%lu,\"lo\":%lu,\"age\":%lu,\"host\":\"%s\",\"soil\":%d}",
        (unsigned long)ring.boot(), (unsigned long)ring.number(), (unsigned long)ring.oldest(),
        (unsigned long)ring.age(millis()), name, ring.reading().soil);
    if (bytes < 0 || (size_t)bytes >= sizeof text) {
        Serial.println("reading: too long for its buffer");
    } else if (mqtt.publish(sensor_topic, text)) {
        ring.sent(millis());
    } else {
        Serial.println("publish: the connection is gone, or topic and reading have more than 249 bytes");
        mqtt.disconnect(); /* the ring keeps the reading for the next connection */
    }
}

void loop()
{
    static uint32_t last_ms;
    static bool measured = false;

    if (!measured || millis() - last_ms >= MEASURE_EVERY_MS) {
        last_ms = measured ? last_ms + MEASURE_EVERY_MS : millis(); /* no drift */
        measured = true;
        measure();
    }
    if (mqtt.loop()) {
        if (ring.due(millis()))
            publish_reading();
    } else if (WiFi.status() == WL_CONNECTED && reconnect.over(millis())) {
        connect();
    }
}
