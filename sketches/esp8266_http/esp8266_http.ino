/* esp8266_http.ino - soil moisture from an ESP8266 by plain HTTP; no broker needed.
 *
 * Board: any ESP8266 (NodeMCU, Wemos D1 mini ...). No library. Copy
 * secrets.example.h to secrets.h and fill it in.
 *
 * Once a minute it measures, and posts to sluice on the Raspberry Pi, port 8118,
 *
 *     {"host":"wino-0013a2","soil":512,"age":3}
 *
 * until it gets a 2xx response: then the reading is on the disk of sluice. "age" is the
 * number of milliseconds since the measurement. Each reading has its own Idempotency-Key,
 * so that sluice and the backend recognise a reading that is sent again because a response
 * was lost.
 */
#include <EEPROM.h>
#include <ESP8266HTTPClient.h>
#include <ESP8266WiFi.h>

#include "reading_ring.h"
#include "secrets.h"

static const uint8_t PROBE = A0;
static const uint8_t PROBE_POWER = 14; /* GPIO14, called D5 on many boards */

struct Reading {
    int16_t soil;
};

static WiFiClient network;
static ReadingRing<Reading, 100> ring;
static Pause<1000, 60000> retry;
static char name[16]; /* "wino-" and the end of the MAC address: unique */

/* Returns how often the device was started; the counter is in flash. */
static uint16_t count_starts()
{
    uint16_t starts;
    EEPROM.begin(sizeof starts);
    EEPROM.get(0, starts);
    EEPROM.put(0, ++starts);
    EEPROM.commit();
    return starts;
}

void setup()
{
    Serial.begin(115200);
    pinMode(PROBE_POWER, OUTPUT);
    snprintf(name, sizeof name, "wino-%06x", (unsigned)ESP.getChipId());
    ring.begin(count_starts(), ESP.random());
    WiFi.mode(WIFI_STA);
    WiFi.begin(WIFI_NAME, WIFI_PASSWORD); /* connects and reconnects by itself */
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

/* Sends the oldest reading. Returns the status of the response, or a negative error of
 * HTTPClient if there is none. */
static int post_reading()
{
    HTTPClient http;
    char text[96], key[40];
    int bytes = snprintf(text, sizeof text, "{\"host\":\"%s\",\"soil\":%d,\"age\":%lu}", name,
                         ring.reading().soil, (unsigned long)ring.age(millis()));
    snprintf(key, sizeof key, "%s-%lu-%lu", name, (unsigned long)ring.boot(), (unsigned long)ring.number());
    http.setTimeout(2000); /* ms; the watchdog restarts the device after 3 s */
    if (!http.begin(network, SLUICE_URL))
        return -1;
    http.addHeader("Content-Type", "application/json");
    http.addHeader("Idempotency-Key", key);
    int status = http.POST((const uint8_t *)text, (size_t)bytes);
    http.end();
    return status;
}

static void post_and_note()
{
    int status = post_reading();
    if (status >= 200 && status < 300) {
        ring.acknowledge(ring.boot(), ring.number(), millis());
        retry.reset();
        Serial.printf("stored up to reading %lu\n", (unsigned long)ring.oldest() - 1);
    } else {
        Serial.printf("sluice: not stored, status %d; again in a while\n", status);
        retry.begin(millis(), ring.chance()); /* from now, because the attempt may have taken long */
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
    if (ring.held() > 0 && WiFi.status() == WL_CONNECTED && retry.over(millis()))
        post_and_note();
}
