/* quickstart_mqtt.ino - an ESP8266 that publishes one reading a minute.
 *
 * Board: any ESP8266 (NodeMCU, Wemos D1 mini ...). Library: PubSubClient. Copy
 * secrets.example.h to secrets.h and fill it in.
 *
 * Once a minute it publishes a JSON object to garden/NAME/sensor, such as
 *
 *     {"host":"wino-0013a2","soil":512}
 *
 * It can lose readings: PubSubClient publishes at QoS 0, so this sketch does not learn
 * whether a reading reached the broker. When publish() returns true, the bytes were handed
 * to the network. A reading that is due or in flight while the Wi-Fi or the broker is away
 * is lost. sluice does not lose a message that the broker accepted.
 */
#include <ESP8266WiFi.h>
#include <PubSubClient.h>

#include "secrets.h"

static const uint32_t READING_EVERY_MS = 60UL * 1000UL;
static const uint32_t CONNECT_EVERY_MS = 5UL * 1000UL;

static WiFiClient network;
static PubSubClient mqtt(network);
static char name[16]; /* "wino-" and the end of the MAC address: unique */
static char topic[40];

void setup()
{
    Serial.begin(115200);
    snprintf(name, sizeof name, "wino-%06x", (unsigned)ESP.getChipId());
    snprintf(topic, sizeof topic, "garden/%s/sensor", name);
    WiFi.mode(WIFI_STA);
    WiFi.begin(WIFI_NAME, WIFI_PASSWORD); /* connects and reconnects by itself */
    mqtt.setServer(BROKER_HOST, BROKER_PORT);
    network.setTimeout(2000); /* ms for a TCP connection, */
    mqtt.setSocketTimeout(2); /* and seconds for a response: the watchdog restarts the device after 3 s */
}

/* Tries once, and at most every CONNECT_EVERY_MS: while the broker is away, loop() must
 * have time for its other work. */
static void connect_now_and_then()
{
    static uint32_t last_try_ms;
    static bool tried = false;

    if (mqtt.connected() || WiFi.status() != WL_CONNECTED)
        return;
    /* A difference of unsigned numbers stays correct when millis() starts again at 0,
     * every 49.7 days. A comparison like "millis() > next" does not. */
    if (tried && millis() - last_try_ms < CONNECT_EVERY_MS)
        return;
    if (!mqtt.connect(name, BROKER_USER, BROKER_PASSWORD))
        Serial.printf("broker: no connection, state %d\n", mqtt.state());
    last_try_ms = millis(); /* after the attempt, which may have taken long */
    tried = true;
}

static void publish_reading()
{
    char reading[64];
    int bytes = snprintf(reading, sizeof reading, "{\"host\":\"%s\",\"soil\":%d}", name, analogRead(A0));

    if (bytes < 0 || (size_t)bytes >= sizeof reading)
        Serial.println("reading: too long, not sent");
    else if (!mqtt.publish(topic, reading))
        Serial.println("reading: lost, no connection to the broker");
}

void loop()
{
    static uint32_t last_reading_ms;

    connect_now_and_then();
    mqtt.loop();
    if (millis() - last_reading_ms >= READING_EVERY_MS) {
        last_reading_ms += READING_EVERY_MS; /* no drift */
        publish_reading();
    }
}
