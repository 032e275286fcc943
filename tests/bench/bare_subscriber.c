/* bare_subscriber.c - the program with which sluice's intake is compared: the least that a
 * libmosquitto client can do with a message. It calls mosquitto_loop(), and its callback only
 * counts. It stores nothing, and libmosquitto acknowledges at once.
 *
 *     bare_subscriber PORT CLIENT_ID WINDOW
 *
 * It resumes the session CLIENT_ID (MQTT v5, no clean start, receive maximum WINDOW), and
 * keeps the subscriptions that sluice made. So both drain the same session. It runs until
 * SIGTERM and prints how many messages it received.
 */
#include "workload.h"

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <signal.h>

#define SESSION_EXPIRY_S (24 * 60 * 60)

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static void on_message(struct mosquitto *client, void *context, const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    unsigned *received = context;

    (void)client;
    (void)message;
    (void)properties;
    ++*received;
}

static struct mosquitto *connect_session(unsigned port, const char *client_id, unsigned window,
                                         unsigned *received)
{
    mosquitto_property *properties = NULL;
    struct mosquitto *client = mosquitto_new(client_id, false, received);

    if (client == NULL)
        return NULL;
    mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(client, MOSQ_OPT_RECEIVE_MAXIMUM, (int)window);
    mosquitto_message_v5_callback_set(client, on_message);
    mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, SESSION_EXPIRY_S);
    int rc = mosquitto_connect_bind_v5(client, "127.0.0.1", (int)port, 60, NULL, properties);
    mosquitto_property_free_all(&properties);
    if (rc != MOSQ_ERR_SUCCESS) {
        fprintf(stderr, "bare_subscriber: connect: %s\n", mosquitto_strerror(rc));
        mosquitto_destroy(client);
        return NULL;
    }
    return client;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal};
    unsigned received = 0;

    if (argc != 4) {
        fprintf(stderr, "usage: bare_subscriber PORT CLIENT_ID WINDOW\n");
        return 2;
    }
    sigaction(SIGTERM, &action, NULL);
    mosquitto_lib_init();
    struct mosquitto *client = connect_session(workload_number(argv[1], 1, 65535), argv[2],
                                               workload_number(argv[3], 1, 65535), &received);
    if (client == NULL)
        return 1;

    while (!stopped) {
        int rc = mosquitto_loop(client, 100, 1);

        if (rc != MOSQ_ERR_SUCCESS && !stopped) {
            fprintf(stderr, "bare_subscriber: connection: %s\n", mosquitto_strerror(rc));
            return 1;
        }
    }
    mosquitto_disconnect(client);
    mosquitto_destroy(client);
    mosquitto_lib_cleanup();
    printf("%u\n", received);
    return 0;
}
