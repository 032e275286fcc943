/* uno_ethernet_mqtt.ino - soil moisture from an Arduino Uno with an Ethernet
 * shield, and no reading is lost.
 *
 * Board: Arduino Uno. Libraries: Ethernet, PubSubClient. Copy secrets.example.h to
 * secrets.h and fill it in.
 *
 * Once a minute it measures, and publishes to garden/NAME/sensor
 *
 *     {"b":131099,"s":17,"lo":17,"age":3,"host":"uno-0013a2","soil":512}
 *
 * PubSubClient publishes at QoS 0: when publish() returns true, the bytes were handed
 * to the network, and may still be lost. So the sketch keeps each reading (see
 * reading_ring.h) until sluice acknowledges on garden/NAME/ack that the reading is on its
 * disk. For that, the route in sluice.conf needs ack_topic = garden/{2}/ack.
 *
 * The retained message on garden/NAME/status is "online" or "offline".
 */
#include <EEPROM.h>
#include <Ethernet.h>
#include <PubSubClient.h>
#include <SPI.h>
#include <avr/wdt.h>

#include "reading_ring.h"
#include "secrets.h"

static const uint8_t PROBE = A0;
static const uint8_t NOISE = A1; /* leave this input open */
static const uint8_t PROBE_POWER = 7;

struct Reading {
    int16_t soil;
};

static byte mac[] = {DEVICE_MAC};
static EthernetClient network;
static PubSubClient mqtt(network);
static ReadingRing<Reading, 32> ring;
static Pause<1000, 60000> reconnect;
static char name[12]; /* "uno-" and the end of the MAC address: unique */
static bool has_address = false;

/* Returns how often the device was started; the counter is in the EEPROM. */
static uint16_t count_starts()
{
    uint16_t starts;
    EEPROM.get(0, starts);
    EEPROM.put(0, ++starts);
    return starts;
}

/* The noise of an open input is the only source of random numbers on an Uno. */
static uint32_t gather_chance()
{
    uint32_t chance = micros();
    for (uint8_t i = 0; i < 64; i++)
        chance = chance * 33 ^ (uint32_t)analogRead(NOISE) ^ micros();
    return chance;
}

/* Returns "garden/NAME/WHAT". All topics share one buffer, because memory is short. */
static const char *topic(const __FlashStringHelper *what)
{
    static char text[26];
    strcpy_P(text, PSTR("garden/"));
    strcat(text, name);
    strcat_P(text, (PGM_P)what);
    return text;
}

/* A message from the broker: an acknowledgement, because we only subscribe to that topic. */
static void on_message(char *, uint8_t *payload, unsigned int bytes)
{
    if (!ring.acknowledge(payload, bytes, millis()))
        return;
    reconnect.reset(); /* the connection works */
    Serial.print(F("stored up to reading "));
    Serial.println(ring.oldest() - 1);
}

void setup()
{
    Serial.begin(115200);
    pinMode(PROBE_POWER, OUTPUT);
    snprintf_P(name, sizeof name, PSTR("uno-%02x%02x%02x"), mac[3], mac[4], mac[5]);
    ring.begin(count_starts(), gather_chance());
    mqtt.setServer(BROKER_HOST, BROKER_PORT);
    mqtt.setCallback(on_message);
    network.setConnectionTimeout(2000); /* ms for a TCP connection, */
    mqtt.setSocketTimeout(2);           /* and seconds for a response */
    wdt_enable(WDTO_8S);                /* the watchdog restarts the device after 8 s without wdt_reset() */
}

/* A permanent current destroys the probe, so it has power only during the measurement. */
static void measure()
{
    Reading reading;
    digitalWrite(PROBE_POWER, HIGH);
    delay(10);
    reading.soil = analogRead(PROBE);
    digitalWrite(PROBE_POWER, LOW);
    ring.put(reading, millis());
    Serial.print(F("measured: soil "));
    Serial.print(reading.soil);
    Serial.print(F("; held: "));
    Serial.print(ring.held());
    Serial.print(F(", dropped: "));
    Serial.println(ring.dropped());
}

static void connect()
{
    if (!has_address && Ethernet.begin(mac, 3000, 1500) != 0) { /* ms for DHCP, and for one response */
        has_address = true;
        /* By default, the shield tries for 32 s to send to a Pi that was unplugged, and the
         * watchdog would restart the device. Two retransmissions take 1.4 s in all. */
        Ethernet.setRetransmissionCount(2);
    }
    wdt_reset();
    if (has_address &&
        mqtt.connect(name, BROKER_USER, BROKER_PASSWORD, topic(F("/status")), 0, true, "offline") &&
        mqtt.publish(topic(F("/status")), "online", true) && mqtt.subscribe(topic(F("/ack")))) {
        Serial.println(F("broker: connected"));
        ring.restart();
    } else {
        Serial.print(has_address ? F("broker: no connection, state ") : F("DHCP: no address, state "));
        Serial.println(mqtt.state());
        mqtt.disconnect();
    }
    reconnect.begin(millis(), ring.chance()); /* from now, because the attempt may have taken long */
}

static void publish_reading()
{
    char text[112];
    int bytes = snprintf_P(
        text, sizeof text, PSTR("{\"b\":%lu,\"s\":%lu,\"lo\":%lu,\"age\":%lu,\"host\":\"%s\",\"soil\":%d}"),
        (unsigned long)ring.boot(), (unsigned long)ring.number(), (unsigned long)ring.oldest(),
        (unsigned long)ring.age(millis()), name, ring.reading().soil);
    if (bytes < 0 || (size_t)bytes >= sizeof text) {
        Serial.println(F("reading: too long for its buffer"));
    } else if (mqtt.publish(topic(F("/sensor")), text)) {
        ring.sent(millis());
    } else {
        Serial.println(F("publish: the connection is gone, or it has more than 249 bytes"));
        mqtt.disconnect(); /* the ring keeps the reading for the next connection */
    }
}

void loop()
{
    static uint32_t last_ms;
    static bool measured = false;

    wdt_reset();
    if (!measured || millis() - last_ms >= MEASURE_EVERY_MS) {
        last_ms = measured ? last_ms + MEASURE_EVERY_MS : millis(); /* no drift */
        measured = true;
        measure();
    }
    if (has_address)
        Ethernet.maintain(); /* renews the lease of the address */
    wdt_reset();
    if (mqtt.loop()) {
        if (ring.due(millis()))
            publish_reading();
    } else if (reconnect.over(millis())) {
        connect();
    }
}
