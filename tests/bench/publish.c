/* publish.c - publishes a workload at QoS 1, and ends when the broker has acknowledged all
 * messages.
 *
 *     publish PORT COUNT BYTES TOPICS RATE
 *
 * RATE is in messages a second, evenly spaced; 0 means as fast as possible. Every payload
 * contains the time at which it was published. The exit status is 0 only when every message
 * was acknowledged.
 */
#include "workload.h"

#include <mosquitto.h>
#include <poll.h>

/* At every acknowledgement libmosquitto searches the list of messages in flight. */
#define IN_FLIGHT_MAX 1000u

struct publisher {
    struct mosquitto *client;
    unsigned sent;
    unsigned acknowledged;
};

static void fail(const char *what, int rc)
{
    fprintf(stderr, "publish: %s: %s\n", what, mosquitto_strerror(rc));
    exit(1);
}

static void on_publish(struct mosquitto *client, void *context, int mid)
{
    struct publisher *publisher = context;

    (void)client;
    (void)mid;
    publisher->acknowledged++;
}

static void turn(struct publisher *publisher, int wait_ms)
{
    int rc = mosquitto_loop(publisher->client, wait_ms, 1);

    if (rc != MOSQ_ERR_SUCCESS)
        fail("connection", rc);
}

/* Reads acknowledgements until due_ns. Uses ppoll(), because mosquitto_loop() can only wait
 * for whole milliseconds. */
static void wait_until(struct publisher *publisher, int64_t due_ns)
{
    for (;;) {
        int64_t left_ns = due_ns - workload_now_ns();
        struct pollfd socket = {.fd = mosquitto_socket(publisher->client), .events = POLLIN};
        struct timespec wait = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};

        if (left_ns <= 0)
            return;
        if (ppoll(&socket, 1, &wait, NULL) > 0)
            turn(publisher, 0);
    }
}

static void publish_one(struct publisher *publisher, size_t bytes, unsigned topics)
{
    char payload[WORKLOAD_BYTES_MAX + 1];
    char topic[WORKLOAD_TOPIC_SIZE];

    workload_topic(topic, publisher->sent, topics);
    workload_payload(payload, bytes, publisher->sent, workload_now_ns());
    int rc = mosquitto_publish(publisher->client, NULL, topic, (int)bytes, payload, 1, false);
    if (rc != MOSQ_ERR_SUCCESS)
        fail("publish", rc);
    publisher->sent++;
}

int main(int argc, char **argv)
{
    struct publisher publisher = {0};

    if (argc != 6) {
        fprintf(stderr, "usage: publish PORT COUNT BYTES TOPICS RATE\n");
        return 2;
    }
    unsigned port = workload_number(argv[1], 1, 65535);
    unsigned count = workload_number(argv[2], 1, 100000000);
    unsigned bytes = workload_number(argv[3], WORKLOAD_BYTES_MIN, WORKLOAD_BYTES_MAX);
    unsigned topics = workload_number(argv[4], 1, 99999);
    unsigned rate = workload_number(argv[5], 0, 100000);

    mosquitto_lib_init();
    publisher.client = mosquitto_new(NULL, true, &publisher);
    if (publisher.client == NULL)
        fail("start", MOSQ_ERR_NOMEM);
    mosquitto_publish_callback_set(publisher.client, on_publish);
    mosquitto_int_option(publisher.client, MOSQ_OPT_SEND_MAXIMUM, 65535);
    mosquitto_int_option(publisher.client, MOSQ_OPT_TCP_NODELAY, 1);
    int rc = mosquitto_connect(publisher.client, "127.0.0.1", (int)port, 60);
    if (rc != MOSQ_ERR_SUCCESS)
        fail("connect", rc);
    turn(&publisher, 1000);

    int64_t start_ns = workload_now_ns();
    while (publisher.sent < count) {
        if (rate > 0)
            wait_until(&publisher, start_ns + (int64_t)publisher.sent * 1000000000 / rate);
        else if (publisher.sent % 100 == 0)
            turn(&publisher, 0);
        while (publisher.sent - publisher.acknowledged >= IN_FLIGHT_MAX)
            turn(&publisher, 100);
        publish_one(&publisher, bytes, topics);
    }
    while (publisher.acknowledged < count)
        turn(&publisher, 100);

    mosquitto_disconnect(publisher.client);
    mosquitto_destroy(publisher.client);
    mosquitto_lib_cleanup();
    return 0;
}
