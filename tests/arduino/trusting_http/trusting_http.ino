/* trusting_http.ino - what the test of esp8266_http is held against: it believes that
 * what it posted has arrived, whatever the answer. In the same troubles it must lose
 * readings, or the test proves nothing. */
#include <ESP8266HTTPClient.h>
#include <ESP8266WiFi.h>

#include "reading_ring.h"
#include "secrets.h"

struct Reading {
    int16_t soil;
};

static WiFiClient network;
static ReadingRing<Reading, 100> ring;
static char name[16];

void setup()
{
    pinMode(14, OUTPUT);
    digitalWrite(14, HIGH);
    snprintf(name, sizeof name, "wino-%06x", (unsigned)ESP.getChipId());
    ring.begin(1, ESP.random());
    WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
}

static void post_reading()
{
    HTTPClient http;
    char text[64];
    int bytes = snprintf(text, sizeof text, "{\"host\":\"%s\",\"soil\":%d}", name, ring.reading().soil);
    http.setTimeout(2000);
    if (http.begin(network, SLUICE_URL))
        http.POST((const uint8_t *)text, (size_t)bytes);
    http.end();
    ring.acknowledge(ring.boot(), ring.number(), millis());
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
    if (ring.held() > 0 && WiFi.status() == WL_CONNECTED)
        post_reading();
}
