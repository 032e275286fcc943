/* mqtt/connection.c - see mqtt/connection.h.
 *
 * We use libmosquitto's blocking connect, because only that one takes MQTT 5 properties. The
 * look-up of a name, or a network that drops packets, can block it for minutes; so it runs in
 * a worker thread of libuv. It cannot be cancelled: a stop does not wait for it.
 */
#include "mqtt/connection.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "mqtt/acks.h"
#include "mqtt/copies.h"
#include "mqtt/protocol.h"
#include "mqtt/reason.h"
#include "mqtt/redelivery.h"
#include "mqtt/socket.h"
#include "mqtt/status.h"
#include "mqtt/unreadable.h"
#include "queue/confirm.h"

#include <errno.h>
#include <string.h>

enum {
    RETRY_MIN_MS = 1000,
    RETRY_MAX_MS = 30000,
    SESSION_PRESENT = 1, /* bit of the flags of a CONNACK, MQTT 5.0, section 3.2.2.1.1 */
};

/* ---- the next attempt ---- */

static void on_retry(uv_timer_t *timer)
{
    struct mqtt *mqtt = timer->data;
    mqtt->try_connect(mqtt);
}

void mqtt_retry_later(struct mqtt *mqtt, const char *why)
{
    mqtt->link = LINK_DOWN;
    int64_t wait_ms = backoff_wait_ms(RETRY_MIN_MS, RETRY_MAX_MS, ++mqtt->failures, clock_chance());
    mqtt_report_away(mqtt, why, wait_ms);
    uv_timer_start(&mqtt->retry, on_retry, (uint64_t)wait_ms, 0);
}

/* ---- the end of a connection ---- */

void mqtt_on_disconnect(struct mosquitto *client, void *context, int reason,
                        const mosquitto_property *properties)
{
    (void)client;
    (void)properties;
    struct mqtt *mqtt = context;
    mqtt->close_errno = errno;
    mqtt->closed = true;
    mqtt->close_reason = reason;
}

void mqtt_disconnected(struct mqtt *mqtt)
{
    mqtt_unwatch(mqtt);
    uv_timer_stop(&mqtt->retry);
    batch_end_lock_wait(mqtt->batch);
    mqtt->link = LINK_DOWN;
    mqtt->since_ms = clock_uptime_ms();
}

/* Whether the connection was lost, for no reason that one of the two sides named. */
static bool is_lost(const struct mqtt *mqtt)
{
    switch (mqtt->close_reason) {
    case MOSQ_ERR_SUCCESS:
    case MOSQ_ERR_CONN_LOST:
    case MOSQ_ERR_ERRNO:
    case MOSQ_ERR_TLS:
        return true;
    default:
        return false;
    }
}

/* Mosquitto 2.0 gives no reason when another client takes over the session: it closes the
 * connection. A clash must not become a fight, so a brief connection does not end the backoff. */
static void count_brief(struct mqtt *mqtt)
{
    bool taken_over = mqtt->close_reason == MQTT_RC_SESSION_TAKEN_OVER;
    bool brief = mqtt->link == LINK_UP && clock_uptime_ms() - mqtt->since_ms < BRIEF_MS;
    mqtt->brief = brief && (taken_over || is_lost(mqtt)) ? mqtt->brief + 1 : 0;
    if (mqtt->brief > 0 && taken_over && mqtt->brief < CLASH_AFTER)
        mqtt->brief = CLASH_AFTER;
    if (mqtt->brief > mqtt->failures)
        mqtt->failures = mqtt->brief - 1;
    mqtt_report_clash(mqtt);
}

void mqtt_connection_closed(struct mqtt *mqtt)
{
    count_brief(mqtt);
    const char *why = mqtt_protocol_closed(mqtt);
    cleanup_free char *reason = reason_of_close(mqtt);
    if (!why)
        why = reason;
    mqtt_disconnected(mqtt);
    /* The acknowledgement of what came before the offending packet must be written, and that packet
     * must be found: mqtt/unreadable.h. */
    mqtt->one_by_one = mqtt->close_reason == MOSQ_ERR_MALFORMED_UTF8 ||
                       mqtt->close_reason == MOSQ_ERR_PROTOCOL ||
                       mqtt->close_reason == MOSQ_ERR_MALFORMED_PACKET;
    if (mqtt->one_by_one)
        mqtt_unreadable_closed(mqtt);
    mqtt_retry_later(mqtt, why);
}

/* ---- a new connection ---- */

void mqtt_on_connack(struct mosquitto *client, void *context, int reason, int flags,
                     const mosquitto_property *properties)
{
    (void)client;
    struct mqtt *mqtt = context;
    if (reason != 0) {
        mqtt->refused = true;
        mqtt->refusal = reason;
        return;
    }
    mqtt->link = LINK_UP;
    mqtt->since_ms = clock_uptime_ms();
    uint8_t available = 1;
    mosquitto_property_read_byte(properties, MQTT_PROP_SUBSCRIPTION_ID_AVAILABLE, &available, false);
    mqtt->identifiers_available = !mqtt->use_v311 && available;
    mqtt->subscriptions.subscribe_due = true;
    mqtt->session_present = flags & SESSION_PRESENT;
    mqtt->subscriptions.session_is_new = !mqtt->session_present;
    mqtt_protocol_agreed(mqtt, mqtt->session_present);
    mqtt_redelivery_connected(mqtt, mqtt->session_present);
    mqtt_copies_connected(mqtt, mqtt->session_present);
    mqtt_acks_connected(mqtt);
    mqtt_unreadable_connected(mqtt);
    mqtt_report_connected(mqtt);
    mqtt_unreadable_pause(mqtt);
}

/* In the worker thread: nothing but the client is touched. */
static void connect_work(uv_work_t *work)
{
    struct mqtt *mqtt = work->data;
    const struct config_broker *config = mqtt->config;
    errno = 0;
    mqtt->connect_result =
        mosquitto_connect_bind_v5(mqtt->client, config->host, (int)config->port, (int)config->keepalive_s,
                                  NULL, mqtt->use_v311 ? NULL : mqtt->connect_properties);
    mqtt->connect_errno = errno;
}

static void connect_done(uv_work_t *work, int status)
{
    (void)status;
    struct mqtt *mqtt = work->data;
    mqtt->since_ms = clock_uptime_ms();
    if (mqtt->connect_result != MOSQ_ERR_SUCCESS || !mqtt_open_socket(mqtt)) {
        mqtt->brief = 0;
        cleanup_free char *why = reason_of_connect(mqtt);
        mqtt_retry_later(mqtt, why);
        return;
    }
    mqtt->link = LINK_HANDSHAKE;
    pace_hurry(&mqtt->tick);
    mqtt_flush(mqtt); /* the CONNECT */
    mqtt_watch(mqtt);
}

static void make_properties(struct mqtt *mqtt)
{
    mosquitto_property_free_all(&mqtt->connect_properties);
    mosquitto_property_add_int32(&mqtt->connect_properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
                                 mqtt->config->session_expiry_s);
    mosquitto_property_add_int16(&mqtt->connect_properties, MQTT_PROP_RECEIVE_MAXIMUM, mqtt->receive_maximum);
}

/* Never in clear text because TLS could not be set up. */
static int give_credentials(struct mqtt *mqtt)
{
    const struct config_broker *config = mqtt->config;
    const struct config_broker *login = mqtt->login;
    int result = mosquitto_username_pw_set(mqtt->client, login->username, login->password);
    if (!config->tls || result != MOSQ_ERR_SUCCESS)
        return result;
    const char *ca_path = config->ca_file ? NULL : "/etc/ssl/certs";
    result =
        mosquitto_tls_set(mqtt->client, config->ca_file, ca_path, config->cert_file, config->key_file, NULL);
    if (result != MOSQ_ERR_SUCCESS)
        return result;
    if (!mqtt->verifies) /* once: libmosquitto 2.0 leaks a little each time */
        result = mosquitto_tls_opts_set(mqtt->client, 1, NULL, NULL);
    mqtt->verifies = result == MOSQ_ERR_SUCCESS;
    return result;
}

void mqtt_connect(struct mqtt *mqtt)
{
    if (queue_confirmed_save(mqtt->queue) != 0) {
        mqtt_retry_later(mqtt, NULL);
        return;
    }
    if (mqtt->login->fault) {
        mqtt_retry_later(mqtt, mqtt->login->fault);
        return;
    }
    if (give_credentials(mqtt) != MOSQ_ERR_SUCCESS) {
        mqtt_retry_later(mqtt, "TLS cannot be set up: check ca_file, cert_file and key_file");
        return;
    }
    mqtt->closed = mqtt->refused = false;
    mqtt_unreadable_connected(mqtt); /* an acknowledgement whose commit failed must not leave */
    reason_listen(mqtt);
    mqtt->close_reason = MOSQ_ERR_CONN_LOST;
    make_properties(mqtt);
    mosquitto_int_option(mqtt->client, MOSQ_OPT_PROTOCOL_VERSION,
                         mqtt->use_v311 ? MQTT_PROTOCOL_V311 : MQTT_PROTOCOL_V5);
    mqtt->subscriptions.prepare_due = true;
    mqtt->link = LINK_CONNECTING;
    mqtt->work_request.data = mqtt;
    uv_queue_work(mqtt->loop, &mqtt->work_request, connect_work, connect_done);
}
