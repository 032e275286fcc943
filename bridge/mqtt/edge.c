/* mqtt/edge.c - the MQTT edge: read, commit, and only then write.
 *
 * libmosquitto queues the PUBACK of a message before it hands the message over.
 * With mosquitto_loop() and its kin the PUBACK is on the wire before the message
 * is stored. So the socket is driven here: told that there are threads
 * (mosquitto_threaded_set), libmosquitto leaves every outgoing packet in its
 * queue until mosquitto_loop_write(). What follows is one cycle,
 *
 *     BEGIN → read what is there, up to the batch limit → COMMIT → write
 *
 * which is group commit and acknowledge-after-commit at once. Two rules keep it
 * true. Packets are written in one place (intake_mqtt_flush), which asserts that
 * no transaction is open: one write flushes everything that is queued, so a
 * SUBSCRIBE sent in the middle would take uncommitted PUBACKs along. And while
 * anything is left to be written, nothing is read.
 *
 * When a COMMIT fails, nothing may be written any more: the connection is shut
 * down, its queue of PUBACKs is discarded by the next connect, and the broker
 * sends the messages again.
 *
 * This is observed behaviour of libmosquitto 2.0, not a documented contract:
 * tests/system pins it.
 */
#include "mqtt/edge.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "mqtt/internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
    HANDSHAKE_MOST_MS = 15000, /* from the TCP connection to the CONNACK */
    SETTLED_MS = 10000,        /* a connection that lasts this long ends the backoff */
    MOST_IDENTIFIERS = 32,     /* on one message */
};

/* ---- messages ---- */

static void add_filter(const struct intake_mqtt *mqtt, uint32_t identifier, struct route_copy *copy,
                       size_t filters[static MOST_IDENTIFIERS])
{
    for (size_t i = 0; i < mqtt->filter_count; i++)
        if (mqtt->filters[i].identifier == identifier)
            filters[copy->filter_count++] = i;
    for (size_t i = 0; i < mqtt->vanished_count; i++)
        if (mqtt->vanished[i].identifier == identifier)
            copy->covered_to = mqtt->vanished[i].covered_to;
}

/* For which subscriptions this copy of a message was delivered. */
static void read_copy(const struct intake_mqtt *mqtt, const mosquitto_property *properties,
                      struct route_copy *copy, size_t filters[static MOST_IDENTIFIERS])
{
    *copy = (struct route_copy){.filters = filters};
    uint32_t identifier;
    const mosquitto_property *at =
        mosquitto_property_read_varint(properties, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, &identifier, false);
    if (at)
        copy->ranks = mqtt->ranks; /* otherwise it stands for all */
    while (at && copy->filter_count < MOST_IDENTIFIERS) {
        add_filter(mqtt, identifier, copy, filters);
        at = mosquitto_property_read_varint(at, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, &identifier, true);
    }
}

/* For the tests: packets of our own, in the middle of a transaction. */
static void queue_own_packets(struct intake_mqtt *mqtt)
{
    mosquitto_subscribe(mqtt->client, NULL, "sluice/test", 1);
    mosquitto_publish(mqtt->client, NULL, "sluice/test", 0, NULL, 0, false);
    mosquitto_loop_misc(mqtt->client);
}

static void on_message(struct mosquitto *client, void *context, const struct mosquitto_message *packet,
                       const mosquitto_property *properties)
{
    (void)client;
    struct intake_mqtt *mqtt = context;
    size_t filters[MOST_IDENTIFIERS];
    struct route_copy copy;
    read_copy(mqtt, properties, &copy, filters);
    struct intake_message message = {
        .topic = packet->topic,
        .source = "mqtt",
        .payload = packet->payload,
        .payload_bytes = (size_t)packet->payloadlen,
        .retained = packet->retain,
        .packet_id = packet->mid,
        .late = mqtt->late && !packet->retain,
        .copy = &copy,
    };
    intake_mqtt_count(mqtt, packet);
    if (intake_mqtt_is_duplicate(mqtt, packet))
        batch_count_message(mqtt->batch, message.payload_bytes);
    else if (batch_take(mqtt->batch, &message) == INTAKE_STORED && packet->qos > 0)
        intake_mqtt_is_new(mqtt);
    fault_fails("intake.read");
    if (fault_fails("intake.own"))
        queue_own_packets(mqtt);
    /* Every packet that libmosquitto queues is announced on a socket pair of its
     * own, which is full by now; that EAGAIN it would take for the connection's,
     * and leave the rest of a TLS record unread. */
    errno = 0;
}

static void on_disconnect(struct mosquitto *client, void *context, int reason,
                          const mosquitto_property *properties)
{
    (void)client;
    (void)properties;
    struct intake_mqtt *mqtt = context;
    mqtt->close_errno = errno;
    mqtt->closed = true;
    mqtt->close_reason = reason;
}

void intake_mqtt_set_callbacks(struct intake_mqtt *mqtt)
{
    mosquitto_message_v5_callback_set(mqtt->client, on_message);
    mosquitto_disconnect_v5_callback_set(mqtt->client, on_disconnect);
    mosquitto_connect_v5_callback_set(mqtt->client, intake_mqtt_on_connack);
    mosquitto_subscribe_v5_callback_set(mqtt->client, intake_mqtt_on_suback);
    mosquitto_unsubscribe_v5_callback_set(mqtt->client, intake_mqtt_on_unsuback);
}

/* ---- one cycle ---- */

bool intake_mqtt_flush(struct intake_mqtt *mqtt)
{
    assert(!mqtt->in_transaction);
    if (!mqtt->closed && mosquitto_want_write(mqtt->client))
        mosquitto_loop_write(mqtt->client, 1); /* as much as the socket takes */
    return !mqtt->closed && !mosquitto_want_write(mqtt->client);
}

/* Until nothing is left to read, which libmosquitto tells by errno. It reads one
 * packet, or as many as a TLS record holds. */
static void read_batch(struct intake_mqtt *mqtt)
{
    do {
        errno = 0;
        int result = mosquitto_loop_read(mqtt->client, 1);
        int error = errno;
        if (result != MOSQ_ERR_SUCCESS && !mqtt->closed) {
            mqtt->closed = true;
            mqtt->close_reason = result;
        }
        if (error == EAGAIN)
            break;
    } while (mqtt->link == LINK_UP && !mqtt->closed && !batch_is_full(mqtt->batch) &&
             !(mqtt->one_by_one && batch_messages(mqtt->batch) > 0));
}

/* Returns what batch_begin and batch_commit do. */
static int read_and_commit(struct intake_mqtt *mqtt)
{
    int error = mqtt->link == LINK_UP ? batch_begin(mqtt->batch) : batch_begin_now(mqtt->batch);
    if (error != 0)
        return error;
    mqtt->in_transaction = true;
    read_batch(mqtt);
    error = batch_commit(mqtt->batch);
    mqtt->in_transaction = false;
    intake_mqtt_committed(mqtt, error == 0);
    return error;
}

/* At QoS 0: one that is lost comes again with the device's next reading. It waits in
 * libmosquitto's queue behind the PUBACKs of the same commit. */
static void queue_ack(void *context, const char *topic, const char *text)
{
    struct intake_mqtt *mqtt = context;
    mosquitto_publish(mqtt->client, NULL, topic, (int)strlen(text), text, 0, false);
}

static int do_subscriptions(struct intake_mqtt *mqtt)
{
    int error = intake_mqtt_subscriptions(mqtt);
    return error == -EBUSY ? batch_wait_for_lock(mqtt->batch) : error;
}

/* Returns 0; -EAGAIN or -ENOBUFS when nothing may be read now; or -Exxx when the storage
 * failed and nothing may be acknowledged. */
static int cycle(struct intake_mqtt *mqtt)
{
    if (!intake_mqtt_flush(mqtt))
        return 0;
    batch_release(mqtt->batch);
    if (intake_mqtt_must_hold(mqtt))
        return -ENOBUFS;
    int error = do_subscriptions(mqtt);
    if (error == 0)
        error = read_and_commit(mqtt);
    if (error != 0)
        return error;
    intake_acks(mqtt->intake, queue_ack, mqtt);
    if (batch_messages(mqtt->batch) > 0)
        fault_fails("intake.flush");
    bool flushed = intake_mqtt_flush(mqtt);
    if (batch_messages(mqtt->batch) > 0 && !mqtt->closed)
        mqtt->failures = 0;
    if (!flushed)
        return 0;
    batch_release(mqtt->batch);
    return do_subscriptions(mqtt);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    intake_mqtt_work(poll->data);
}

void intake_mqtt_watch(struct intake_mqtt *mqtt)
{
    if (!mqtt->poll)
        return;
    bool waits = mqtt->link == LINK_UP ? batch_is_waiting(mqtt->batch) : batch_is_locked(mqtt->batch);
    int events = mosquitto_want_write(mqtt->client) ? UV_WRITABLE : waits ? 0 : UV_READABLE;
    if (events != 0)
        uv_poll_start(mqtt->poll, events, on_socket);
    else
        uv_poll_stop(mqtt->poll);
}

/* Only with all acknowledgements out. */
static bool hold_if_full(struct intake_mqtt *mqtt)
{
    if (!intake_mqtt_must_hold(mqtt) || !intake_mqtt_flush(mqtt))
        return false;
    batch_release(mqtt->batch);
    intake_mqtt_hold(mqtt);
    return true;
}

void intake_mqtt_work(struct intake_mqtt *mqtt)
{
    if (mqtt->link != LINK_HANDSHAKE && mqtt->link != LINK_UP)
        return;
    int error = cycle(mqtt);
    if (error != 0 && error != -EAGAIN && error != -ENOBUFS) {
        batch_release(mqtt->batch);
        intake_mqtt_storage_failed(mqtt, error);
        return;
    }
    if (mqtt->closed) {
        batch_release(mqtt->batch);
        intake_mqtt_link_down(mqtt);
        return;
    }
    if (hold_if_full(mqtt))
        return;
    intake_mqtt_sync(mqtt);
    intake_mqtt_flush(mqtt); /* what became due meanwhile */
    intake_mqtt_watch(mqtt);
}

static void on_tick(uv_timer_t *timer)
{
    struct intake_mqtt *mqtt = timer->data;
    if (mqtt->link != LINK_HANDSHAKE && mqtt->link != LINK_UP)
        return;
    int64_t lasted_ms = clock_uptime_ms() - mqtt->since_ms;
    if (mqtt->link == LINK_HANDSHAKE && lasted_ms > HANDSHAKE_MOST_MS) {
        mqtt->closed = true;
        mqtt->close_reason = MOSQ_ERR_KEEPALIVE;
    } else {
        if (mqtt->link == LINK_UP && lasted_ms > SETTLED_MS) {
            mqtt->failures = 0;
            mqtt->one_by_one = false;
        }
        mosquitto_loop_misc(mqtt->client); /* may queue a PINGREQ, or give up */
        intake_mqtt_sync(mqtt);
    }
    if (mqtt->closed) {
        batch_release(mqtt->batch);
        intake_mqtt_link_down(mqtt);
        return;
    }
    if (intake_mqtt_flush(mqtt))
        batch_release(mqtt->batch);
    if (!hold_if_full(mqtt))
        intake_mqtt_watch(mqtt);
}

/* ---- life ---- */

static void on_ready(void *context)
{
    intake_mqtt_work(context);
}

struct intake_mqtt *intake_mqtt_new(uv_loop_t *loop, const struct config_broker *broker,
                                    const struct config_queue *commits, size_t route_count,
                                    struct intake *intake, struct queue *queue)
{
    mosquitto_lib_init();
    struct intake_mqtt *mqtt = xcalloc(1, sizeof *mqtt);
    mqtt->loop = loop;
    mqtt->config = broker;
    mqtt->commit_batch = commits->commit_batch;
    const struct batch_limits limits = {.messages = commits->commit_batch,
                                        .delay_ms = commits->commit_delay_ms};
    mqtt->batch = batch_new(intake, loop, &limits, on_ready, mqtt);
    mqtt->intake = intake;
    mqtt->queue = queue;
    mqtt->poll_fd = -1;
    mqtt->use_v311 = broker->protocol == CONFIG_PROTOCOL_V311;
    mqtt->client = mosquitto_new(broker->client_id, false, mqtt);
    if (!mqtt->client)
        abort();
    mosquitto_threaded_set(mqtt->client, true);
    intake_mqtt_set_callbacks(mqtt);
    intake_mqtt_replay_init(mqtt, route_count);
    uv_timer_init(loop, &mqtt->tick);
    uv_timer_init(loop, &mqtt->again);
    mqtt->tick.data = mqtt->again.data = mqtt;
    uv_timer_start(&mqtt->tick, on_tick, 1000, 1000);
    intake_mqtt_connect_if_room(mqtt);
    return mqtt;
}

void intake_mqtt_resubscribe(struct intake_mqtt *mqtt)
{
    mqtt->prepare_due = mqtt->subscribe_due = true;
    intake_mqtt_work(mqtt);
}

void intake_mqtt_hurry(struct intake_mqtt *mqtt)
{
    batch_hurry(mqtt->batch);
    intake_mqtt_work(mqtt);
}

bool intake_mqtt_is_up(const struct intake_mqtt *mqtt)
{
    bool awaits_goodbye = mqtt->link == LINK_DOWN && mqtt->poll;
    return mqtt->link == LINK_UP || awaits_goodbye;
}

bool intake_mqtt_stop(struct intake_mqtt *mqtt)
{
    if (mqtt->link == LINK_CONNECTING)
        return false;
    if (mqtt->link == LINK_UP && intake_mqtt_flush(mqtt)) {
        batch_release(mqtt->batch);
        mosquitto_disconnect(mqtt->client);
        intake_mqtt_flush(mqtt);
    }
    intake_mqtt_unwatch(mqtt);
    uv_timer_stop(&mqtt->tick);
    uv_timer_stop(&mqtt->again);
    batch_stop_waiting(mqtt->batch);
    mqtt->link = LINK_DOWN;
    return true;
}

static void on_closed(uv_handle_t *handle)
{
    struct intake_mqtt *mqtt = handle->data;
    if (--mqtt->open_handles > 0)
        return;
    mosquitto_destroy(mqtt->client);
    mosquitto_lib_cleanup();
    mosquitto_property_free_all(&mqtt->connect_properties);
    intake_mqtt_subscriptions_free(mqtt);
    replay_free(mqtt->replay);
    free(mqtt->why);
    free(mqtt);
}

void intake_mqtt_free(struct intake_mqtt *mqtt)
{
    if (!mqtt)
        return;
    assert(mqtt->link == LINK_DOWN);
    batch_free(mqtt->batch);
    mqtt->open_handles = 2;
    uv_close((uv_handle_t *)&mqtt->tick, on_closed);
    uv_close((uv_handle_t *)&mqtt->again, on_closed);
}
