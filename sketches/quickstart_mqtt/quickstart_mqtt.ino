/* quickstart_mqtt.ino - an ESP8266 that publishes one reading a minute.
 *
 * Board: any ESP8266 (NodeMCU, Wemos D1 mini ...). Library: PubSubClient. Copy
 * secrets.example.h to secrets.h and fill it in.
 *
 * Each minute it publishes to garden/NAME/sensor a JSON object such as
 *
 *     {"host":"wino-0013a2","soil":512}
 *
 * What it does not do: PubSubClient publishes at QoS 0, so nobody tells this
 * sketch that a reading reached the broker. A true from publish() means that the
 * bytes were handed to the network. A reading that is on its way while the Wi-Fi
 * or the broker goes away is lost, and so is one that is due while they are
 * away. What the broker has taken, sluice does not lose.
 */
#include <ESP8266WiFi.h>
#include <PubSubClient.h>

#include "secrets.h"

static const uint32_t READING_EVERY_MS = 60UL * 1000UL;
static const uint32_t CONNECT_EVERY_MS = 5UL * 1000UL;

static WiFiClient network;
static PubSubClient mqtt(network);
static char name[16]; /* "wino-" and the end of the MAC address: no two alike */
static char topic[40];

void setup()
{
    Serial.begin(115200);
    snprintf(name, sizeof name, "wino-%06x", (unsigned)ESP.getChipId());
    snprintf(topic, sizeof topic, "garden/%s/sensor", name);
    WiFi.mode(WIFI_STA);
    WiFi.begin(WIFI_NAME, WIFI_PASSWORD); /* connects, and connects again, by itself */
    mqtt.setServer(BROKER_HOST, BROKER_PORT);
    network.setTimeout(2000); /* ms that a TCP connection may take, */
    mqtt.setSocketTimeout(2); /* and seconds for an answer: the watchdog barks after 3 */
}

/* One try, and not before a pause after the last one: a broker that is away must
 * not keep loop() from its other work. */
static void connect_now_and_then()
{
    static uint32_t last_try_ms;
    static bool tried = false;

    if (mqtt.connected() || WiFi.status() != WL_CONNECTED)
        return;
    /* Differences of unsigned numbers stay right when millis() starts again at 0,
     * every 49.7 days. A comparison like "millis() > next" does not. */
    if (tried && millis() - last_try_ms < CONNECT_EVERY_MS)
        return;
    if (!mqtt.connect(name, BROKER_USER, BROKER_PASSWORD))
        Serial.printf("broker: no connection, state %d\n", mqtt.state());
    last_try_ms = millis(); /* after the try, however long it took */
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
