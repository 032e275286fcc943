/* mqtt/edge.c - the MQTT edge: reads, commits, and only then writes.
 *
 * libmosquitto queues the PUBACK of a message before it hands the message over. With
 * mosquitto_loop() and its kin the PUBACK is on the wire before the message is stored. So
 * we drive the socket ourselves: after mosquitto_threaded_set, libmosquitto leaves every
 * outgoing packet in its queue until mosquitto_loop_write(). One cycle is
 *
 *     BEGIN → read what is there, up to the batch limit → COMMIT → write
 *
 * which is group commit and acknowledge-after-commit at once. Two rules make it safe.
 * Packets are written in one place (mqtt_flush), which asserts that no batch is open:
 * one write flushes everything that is queued, so a SUBSCRIBE sent in the middle would take
 * uncommitted PUBACKs along. And while anything is left to be written, nothing is read.
 *
 * After a COMMIT that failed, nothing more may be written: the connection is shut down, the
 * next connect discards its queue of PUBACKs, and the broker sends the messages again.
 *
 * libmosquitto 2.0 behaves so, but does not document it: tests/system checks it.
 */
#include "mqtt/edge.h"
#include "base/clock.h"
#include "base/fault.h"
#include "mqtt/acks.h"
#include "mqtt/connection.h"
#include "mqtt/copies.h"
#include "mqtt/pause.h"
#include "mqtt/protocol.h"
#include "mqtt/receive.h"
#include "mqtt/redelivery.h"
#include "mqtt/socket.h"
#include "mqtt/status.h"
#include "mqtt/subscriptions.h"
#include "mqtt/unreadable.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
    HANDSHAKE_MOST_MS = 15000, /* from the TCP connection to the CONNACK */
    SETTLED_MS = 10000,        /* a connection that lasts this long ends the backoff */
    UNREADABLE_MS = 60000,     /* after a packet that libmosquitto cannot take, others may come */
};

/* ---- messages ---- */

/* For the tests: packets of our own, in the middle of a transaction. */
static void queue_own_packets(struct mqtt *mqtt)
{
    mosquitto_subscribe(mqtt->client, NULL, "sluice/test", 1);
    mosquitto_publish(mqtt->client, NULL, "sluice/test", 0, NULL, 0, false);
    mosquitto_loop_misc(mqtt->client);
}

static void on_message(struct mosquitto *client, void *context, const struct mosquitto_message *packet,
                       const mosquitto_property *properties)
{
    (void)client;
    struct mqtt *mqtt = context;
    mqtt_unreadable_passed(mqtt);
    mqtt_receive(mqtt, packet, properties, NULL);
    fault_fails("intake.read");
    if (fault_fails("intake.own"))
        queue_own_packets(mqtt);
    /* Every packet that libmosquitto queues is announced on a socket pair of its
     * own, which is full by now; that EAGAIN it would take for the connection's,
     * and leave the rest of a TLS record unread. */
    errno = 0;
    mqtt_unreadable_pause(mqtt);
}

static void set_callbacks(struct mqtt *mqtt)
{
    mosquitto_message_v5_callback_set(mqtt->client, on_message);
    mosquitto_disconnect_v5_callback_set(mqtt->client, mqtt_on_disconnect);
    mosquitto_connect_v5_callback_set(mqtt->client, mqtt_on_connack);
    mosquitto_subscribe_v5_callback_set(mqtt->client, mqtt_on_suback);
    mosquitto_unsubscribe_v5_callback_set(mqtt->client, mqtt_on_unsuback);
    mosquitto_publish_v5_callback_set(mqtt->client, mqtt_on_publish);
}

/* ---- one cycle ---- */

/* Whether the next packet is one that libmosquitto cannot take, and is stored if all of it is there. */
static bool take_unreadable(struct mqtt *mqtt)
{
    enum unreadable_next next = mqtt->link == LINK_UP ? mqtt_unreadable_look(mqtt) : NEXT_IS_READABLE;
    if (next == NEXT_IS_TAKEN)
        mqtt_receive(mqtt, mqtt_unreadable_message(mqtt), NULL, "MQTT forbids the packet, such as its topic");
    return next != NEXT_IS_READABLE;
}

/* Until nothing is left to read: then libmosquitto sets errno to EAGAIN. It reads one packet,
 * or as many as a TLS record holds. */
static void read_batch(struct mqtt *mqtt)
{
    do {
        if (take_unreadable(mqtt))
            break;
        errno = 0;
        int result = mosquitto_loop_read(mqtt->client, 1);
        int error = errno;
        if (result != MOSQ_ERR_SUCCESS && !mqtt->closed) {
            mqtt->closed = true;
            mqtt->close_reason = result;
        }
        if (error == EAGAIN)
            break;
    } while (mqtt->link == LINK_UP && !mqtt->closed && !batch_is_full(mqtt->batch));
}

/* Returns what batch_begin and batch_commit do. */
static int read_and_commit(struct mqtt *mqtt)
{
    batch_set_most(mqtt->batch, mqtt->one_by_one ? 1 : mqtt->receive_maximum);
    int error = mqtt->link == LINK_UP ? batch_begin(mqtt->batch) : batch_begin_now(mqtt->batch);
    if (error != 0)
        return error;
    read_batch(mqtt);
    mqtt_copies_save(mqtt);
    error = batch_commit(mqtt->batch);
    mqtt_redelivery_committed(mqtt, error == 0);
    if (error != 0)
        mqtt_copies_load(mqtt);
    return error;
}

static void queue_ack(void *context, const char *topic, const char *text)
{
    mqtt_ack_publish(context, topic, text);
}

/* The SUBSCRIBEs leave before the protocol is stored: see mqtt/protocol.h. */
static int update_session(struct mqtt *mqtt)
{
    int error = mqtt_update_subscriptions(mqtt);
    if (error == 0 && mqtt_flush(mqtt))
        error = mqtt_protocol_save(mqtt);
    return error == -EBUSY ? batch_wait_for_lock(mqtt->batch) : error;
}

/* Returns 0; -EAGAIN or -ENOBUFS when nothing may be read now; or -Exxx when the storage
 * failed and nothing may be acknowledged. */
static int cycle(struct mqtt *mqtt)
{
    if (!mqtt_flush(mqtt))
        return 0;
    batch_release(mqtt->batch);
    if (mqtt_must_pause(mqtt))
        return -ENOBUFS;
    int error = update_session(mqtt);
    if (error == 0)
        error = read_and_commit(mqtt);
    if (error != 0)
        return error;
    intake_acks(mqtt->intake, queue_ack, mqtt);
    if (batch_messages(mqtt->batch) > 0)
        fault_fails("intake.flush");
    bool flushed = mqtt_flush(mqtt);
    if (flushed)
        mqtt_unreadable_acknowledge(mqtt);
    if (batch_messages(mqtt->batch) > 0 && !mqtt->closed)
        mqtt->failures = 0;
    if (!flushed)
        return 0;
    batch_release(mqtt->batch);
    return update_session(mqtt);
}

/* The queue is full, or the protocol must change. Only when all acknowledgements are written. */
static bool pause_if_due(struct mqtt *mqtt)
{
    bool changes = mqtt_protocol_must_change(mqtt);
    if ((!changes && !mqtt_must_pause(mqtt)) || !mqtt_flush(mqtt))
        return false;
    batch_release(mqtt->batch);
    mqtt->use_v311 = mqtt->use_v311 || changes;
    mqtt_pause(mqtt);
    return true;
}

static void work(struct mqtt *mqtt)
{
    if (mqtt->link != LINK_HANDSHAKE && mqtt->link != LINK_UP)
        return;
    int error = cycle(mqtt);
    while (error == 0 && mqtt_unreadable_has_more(mqtt))
        error = cycle(mqtt);
    if (error != 0 && error != -EAGAIN && error != -ENOBUFS) {
        batch_release(mqtt->batch);
        mqtt_storage_failed(mqtt, error);
        return;
    }
    if (mqtt->closed) {
        batch_release(mqtt->batch);
        mqtt_connection_closed(mqtt);
        return;
    }
    if (pause_if_due(mqtt))
        return;
    mqtt_round_trip_begin(mqtt);
    mqtt_flush(mqtt); /* what became due meanwhile */
    mqtt_watch(mqtt);
}

/* Of a connection that has lasted. The keepalive must be looked at several times in its time. */
static bool may_rest(const struct mqtt *mqtt)
{
    return mqtt->link == LINK_UP && clock_uptime_ms() - mqtt->since_ms > BRIEF_MS && !mqtt->one_by_one &&
           mqtt->login->keepalive_s * 1000 >= 4 * PACE_REST_MS;
}

static bool on_tick(void *context)
{
    struct mqtt *mqtt = context;
    if (mqtt->link != LINK_HANDSHAKE && mqtt->link != LINK_UP)
        return true;
    int64_t lasted_ms = clock_uptime_ms() - mqtt->since_ms;
    if (mqtt->link == LINK_HANDSHAKE && lasted_ms > HANDSHAKE_MOST_MS) {
        mqtt->closed = true;
        mqtt->close_reason = MOSQ_ERR_KEEPALIVE;
    } else {
        if (mqtt->link == LINK_UP && lasted_ms > SETTLED_MS) {
            mqtt->failures = 0;
            if (clock_uptime_ms() - mqtt->unreadable.taken_ms > UNREADABLE_MS)
                mqtt->one_by_one = false;
        }
        if (mqtt->link == LINK_UP && lasted_ms > BRIEF_MS) {
            mqtt->brief = 0;
            mqtt_report_clash(mqtt);
        }
        mosquitto_loop_misc(mqtt->client); /* may queue a PINGREQ, or give up */
        mqtt_round_trip_begin(mqtt);
    }
    if (mqtt->closed) {
        batch_release(mqtt->batch);
        mqtt_connection_closed(mqtt);
        return true;
    }
    if (mqtt_flush(mqtt))
        batch_release(mqtt->batch);
    if (!pause_if_due(mqtt))
        mqtt_watch(mqtt);
    return !may_rest(mqtt);
}

/* ---- life ---- */

static void on_ready(void *context)
{
    work(context);
}

struct mqtt *mqtt_new(uv_loop_t *loop, const struct config_broker *broker, const struct config_queue *commits,
                      size_t route_count, struct intake *intake, struct queue *queue)
{
    mosquitto_lib_init();
    struct mqtt *mqtt = xcalloc(1, sizeof *mqtt);
    mqtt->loop = loop;
    mqtt->config = mqtt->login = broker;
    mqtt->receive_maximum = (uint16_t)commits->commit_batch;
    const struct batch_limits limits = {.messages = commits->commit_batch,
                                        .delay_ms = commits->commit_delay_ms};
    mqtt->batch = batch_new(intake, loop, &limits, on_ready, mqtt);
    mqtt->intake = intake;
    mqtt->queue = queue;
    mqtt->work = work;
    mqtt->try_connect = mqtt_try_connect;
    mqtt->poll_fd = -1;
    mqtt->client = mosquitto_new(broker->client_id, false, mqtt);
    if (!mqtt->client)
        abort();
    mosquitto_threaded_set(mqtt->client, true);
    set_callbacks(mqtt);
    mqtt_protocol_init(mqtt);
    mqtt_redelivery_init(mqtt, route_count);
    mqtt_copies_load(mqtt);
    pace_start(&mqtt->tick, loop, on_tick, mqtt);
    uv_timer_init(loop, &mqtt->retry);
    mqtt->retry.data = mqtt;
    mqtt_try_connect(mqtt);
    return mqtt;
}

void mqtt_login(struct mqtt *mqtt, const struct config_broker *broker)
{
    mqtt->login = broker;
}

void mqtt_resubscribe(struct mqtt *mqtt)
{
    mqtt->subscriptions.prepare_due = mqtt->subscriptions.subscribe_due = true;
    mqtt->redelivery.is_settled = mqtt->redelivery.trip_settles = false;
    work(mqtt);
}

bool mqtt_try_early(struct mqtt *mqtt)
{
    /* Two clients that fight for one session must not do so faster. */
    bool waits = mqtt->link == LINK_DOWN && mqtt->away_ms != 0 && uv_is_active((uv_handle_t *)&mqtt->retry) &&
                 mqtt->brief < CLASH_AFTER;
    if (!waits)
        return false;
    uv_timer_stop(&mqtt->retry);
    mqtt_try_connect(mqtt);
    return true;
}

void mqtt_hurry(struct mqtt *mqtt)
{
    batch_hurry(mqtt->batch);
    work(mqtt);
}

bool mqtt_is_up(const struct mqtt *mqtt)
{
    bool awaits_end = mqtt->link == LINK_DOWN && mqtt->poll;
    return mqtt->link == LINK_UP || awaits_end;
}

bool mqtt_stop(struct mqtt *mqtt)
{
    if (mqtt->link == LINK_CONNECTING)
        return false;
    if (mqtt->link == LINK_UP && mqtt_flush(mqtt)) {
        batch_release(mqtt->batch);
        mosquitto_disconnect(mqtt->client);
        mqtt_flush(mqtt);
    }
    mqtt_unwatch(mqtt);
    pace_stop(&mqtt->tick);
    uv_timer_stop(&mqtt->retry);
    batch_stop_waiting(mqtt->batch);
    mqtt->link = LINK_DOWN;
    return true;
}

static void on_closed(uv_handle_t *handle)
{
    struct mqtt *mqtt = handle->data;
    if (--mqtt->open_handles > 0)
        return;
    mosquitto_destroy(mqtt->client);
    mosquitto_lib_cleanup();
    mosquitto_property_free_all(&mqtt->connect_properties);
    mqtt_subscriptions_done(mqtt);
    mqtt_properties_done(&mqtt->properties);
    mqtt_unreadable_done(mqtt);
    replay_free(mqtt->redelivery.replay);
    free(mqtt->protocol.broker);
    mqtt_acks_done(mqtt);
    free(mqtt->why);
    free(mqtt);
}

void mqtt_free(struct mqtt *mqtt)
{
    if (!mqtt)
        return;
    assert(mqtt->link == LINK_DOWN);
    batch_free(mqtt->batch);
    mqtt->open_handles = 2;
    uv_close((uv_handle_t *)&mqtt->tick.timer, on_closed);
    uv_close((uv_handle_t *)&mqtt->retry, on_closed);
}
