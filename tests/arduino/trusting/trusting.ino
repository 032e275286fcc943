/* trusting.ino - what the tests of the other sketches are held against: it keeps a
 * reading until publish() is true, and then believes that it arrived. In the same
 * troubles it must lose readings, or the tests prove nothing. */
#include <ESP8266WiFi.h>
#include <PubSubClient.h>

#include "reading_ring.h"
#include "secrets.h"

struct Reading {
    int16_t soil;
};

static WiFiClient network;
static PubSubClient mqtt(network);
static ReadingRing<Reading, 100> ring;
static Pause<1000, 60000> reconnect;
static char name[16], topic[32];

void setup()
{
    pinMode(14, OUTPUT);
    digitalWrite(14, HIGH);
    snprintf(name, sizeof name, "wino-%06x", (unsigned)ESP.getChipId());
    snprintf(topic, sizeof topic, "garden/%s/sensor", name);
    ring.begin(1, ESP.random());
    WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
    mqtt.setServer(BROKER_HOST, BROKER_PORT);
    mqtt.setSocketTimeout(2);
}

static void publish_reading()
{
    char text[64];
    snprintf(text, sizeof text, "{\"host\":\"%s\",\"soil\":%d}", name, ring.reading().soil);
    if (mqtt.publish(topic, text))
        ring.acknowledge(ring.boot(), ring.number(), millis());
    else
        mqtt.disconnect();
}

void loop()
{
    static uint32_t last_ms = millis();

    if (millis() - last_ms >= MEASURE_EVERY_MS) {
        last_ms += MEASURE_EVERY_MS;
        Reading reading = {(int16_t)analogRead(A0)};
        ring.put(reading, millis());
        Serial.printf("measured: soil %d\n", reading.soil);
    }
    if (mqtt.loop()) {
        if (ring.held() > 0)
            publish_reading();
    } else if (WiFi.status() == WL_CONNECTED && reconnect.over(millis())) {
        if (mqtt.connect(name, BROKER_USER, BROKER_PASSWORD))
            reconnect.reset();
        else
            reconnect.begin(millis(), ring.chance());
    }
}
