/* mqtt/connection.c - connecting to the broker, and connecting again.
 *
 * libmosquitto's blocking connect is used, for only that one takes MQTT 5
 * properties; it runs in a worker thread of libuv, because the look-up of a name
 * and a black-holed broker can block it for minutes. It cannot be cancelled:
 * whoever stops the program does not wait for it.
 *
 * A broker that does not speak MQTT 5 answers in one of three ways (a CONNACK of
 * either version, or by hanging up); then MQTT 3.1.1 is tried. So it is with one
 * that names several subscriptions on one copy of a message (MQTT 5.0 section
 * 3.3.2.3.8 allows it, Mosquitto never does it): libmosquitto 2.0 takes that for
 * an error, and 3.1.1 has no such property.
 */
#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "mqtt/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RETRY_MIN_MS = 1000,
    RETRY_MAX_MS = 30000,
    EARLY_CLOSES = 2,    /* connections closed without a word, before the other version is tried */
    TELL_MS = 60000,     /* storage that fails again and again is told of at most so often */
    SESSION_PRESENT = 1, /* bit of the CONNACK's flags, MQTT 5.0 section 3.2.2.1.1 */
};

/* MQTT 5.0 section 3.2.2.2, 3.1.1 section 3.2.2.3. */
static const char *refusal_text(const struct intake_mqtt *mqtt)
{
    switch (mqtt->refusal) {
    case CONNACK_REFUSED_BAD_USERNAME_PASSWORD:
    case CONNACK_REFUSED_NOT_AUTHORIZED:
    case MQTT_RC_BAD_USERNAME_OR_PASSWORD:
    case MQTT_RC_NOT_AUTHORIZED:
        return "not authorised; see username and password in [broker]";
    default:
        return mqtt->use_v311 ? mosquitto_connack_string(mqtt->refusal)
                              : mosquitto_reason_string(mqtt->refusal);
    }
}

static const char *close_reason_text(const struct intake_mqtt *mqtt)
{
    int reason = mqtt->close_reason;
    if (reason == MQTT_RC_SESSION_TAKEN_OVER)
        return "another client took over the session: each sluice needs a client_id of its own";
    if (reason >= 128) /* a DISCONNECT of the broker, MQTT 5.0 section 3.14.2.1 */
        return mosquitto_reason_string(reason);
    switch (reason) {
    case MOSQ_ERR_SUCCESS:
    case MOSQ_ERR_CONN_LOST:
        return "the connection was lost";
    case MOSQ_ERR_KEEPALIVE:
        return "it does not answer";
    case MOSQ_ERR_ERRNO:
        return mqtt->close_errno != 0 ? strerror(mqtt->close_errno) : "the connection was lost";
    case MOSQ_ERR_DUPLICATE_PROPERTY:
        return "it sends one copy for several filters, which needs protocol = 3.1.1";
    case MOSQ_ERR_MALFORMED_UTF8:
        return "it sent a topic with control characters or invalid UTF-8, which MQTT forbids: find its "
               "publisher";
    default:
        return mosquitto_strerror(reason);
    }
}

static void retry_later(struct intake_mqtt *mqtt, const char *why);

/* ---- leaving ---- */

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

void intake_mqtt_unwatch(struct intake_mqtt *mqtt)
{
    if (!mqtt->poll)
        return;
    uv_close((uv_handle_t *)mqtt->poll, on_poll_closed); /* leaves epoll at once */
    mqtt->poll = NULL;
    close(mqtt->poll_fd);
    mqtt->poll_fd = -1;
}

static void leave(struct intake_mqtt *mqtt)
{
    intake_mqtt_unwatch(mqtt);
    uv_timer_stop(&mqtt->again);
    mqtt->link = LINK_DOWN;
    mqtt->since_ms = clock_uptime_ms();
}

void intake_mqtt_link_down(struct intake_mqtt *mqtt)
{
    bool early = mqtt->link == LINK_HANDSHAKE && !mqtt->refused;
    cleanup_free char *refusal = mqtt->refused ? xasprintf("refused: %s", refusal_text(mqtt)) : NULL;
    const char *why = refusal ? refusal : close_reason_text(mqtt);
    leave(mqtt);
    if (early && mqtt->config->protocol == CONFIG_PROTOCOL_AUTO && !mqtt->v5_worked &&
        ++mqtt->closed_early % EARLY_CLOSES == 0)
        mqtt->use_v311 = !mqtt->use_v311;
    /* What came before the offending packet must get its acknowledgement out. */
    mqtt->one_by_one = mqtt->close_reason == MOSQ_ERR_MALFORMED_UTF8 ||
                       mqtt->close_reason == MOSQ_ERR_PROTOCOL ||
                       mqtt->close_reason == MOSQ_ERR_MALFORMED_PACKET;
    if (mqtt->close_reason == MOSQ_ERR_DUPLICATE_PROPERTY && mqtt->config->protocol == CONFIG_PROTOCOL_AUTO)
        mqtt->use_v311 = true;
    if (mqtt->refused) {
        bool version = mqtt->refusal == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION ||
                       mqtt->refusal == CONNACK_REFUSED_PROTOCOL_VERSION;
        if (version && mqtt->config->protocol == CONFIG_PROTOCOL_AUTO && !mqtt->use_v311) {
            mqtt->use_v311 = true;
            why = "it does not speak MQTT 5, trying 3.1.1";
        }
    }
    retry_later(mqtt, why);
}

void intake_mqtt_storage_failed(struct intake_mqtt *mqtt, int error)
{
    /* Not mosquitto_disconnect: its packet would go out behind the PUBACKs. */
    int socket = mosquitto_socket(mqtt->client);
    if (socket >= 0)
        shutdown(socket, SHUT_RDWR);
    leave(mqtt);
    mqtt->storage_failed = true;
    int64_t now_ms = clock_uptime_ms();
    if (mqtt->storage_told_ms == 0 || now_ms - mqtt->storage_told_ms >= TELL_MS) {
        mqtt->storage_told = true;
        mqtt->storage_told_ms = now_ms;
        log_error(EVENT_QUEUE_WRITE_FAILED,
                  "%s: nothing is acknowledged; messages stay at the broker until a commit succeeds",
                  batch_error_text(error));
    }
    retry_later(mqtt, NULL);
}

/* ---- arriving ---- */

void intake_mqtt_on_connack(struct mosquitto *client, void *context, int reason, int flags,
                            const mosquitto_property *properties)
{
    (void)client;
    struct intake_mqtt *mqtt = context;
    if (reason != 0) {
        mqtt->refused = true;
        mqtt->refusal = reason;
        return;
    }
    mqtt->link = LINK_UP;
    mqtt->since_ms = clock_uptime_ms();
    mqtt->closed_early = 0;
    mqtt->v5_worked = !mqtt->use_v311;
    uint8_t available = 1;
    mosquitto_property_read_byte(properties, MQTT_PROP_SUBSCRIPTION_ID_AVAILABLE, &available, false);
    mqtt->identifiers_available = !mqtt->use_v311 && available;
    mqtt->subscribe_due = true;
    mqtt->session_present = flags & SESSION_PRESENT;
    intake_mqtt_expect_replay(mqtt, flags & SESSION_PRESENT);
    intake_mqtt_tell_connected(mqtt);
}

/* In the worker thread: nothing but the client is touched. */
static void connect_work(uv_work_t *work)
{
    struct intake_mqtt *mqtt = work->data;
    const struct config_broker *config = mqtt->config;
    errno = 0;
    mqtt->connect_result =
        mosquitto_connect_bind_v5(mqtt->client, config->host, (int)config->port, (int)config->keepalive_s,
                                  NULL, mqtt->use_v311 ? NULL : mqtt->connect_properties);
    mqtt->connect_errno = errno;
}

static bool watch_socket(struct intake_mqtt *mqtt)
{
    int fd = fcntl(mosquitto_socket(mqtt->client), F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return false;
    uv_poll_t *poll = xcalloc(1, sizeof *poll);
    if (uv_poll_init(mqtt->loop, poll, fd) != 0) {
        free(poll);
        close(fd);
        return false;
    }
    poll->data = mqtt;
    mqtt->poll = poll;
    mqtt->poll_fd = fd;
    return true;
}

static const char *connect_error_text(const struct intake_mqtt *mqtt)
{
    switch (mqtt->connect_result) {
    case MOSQ_ERR_ERRNO:
        return strerror(mqtt->connect_errno);
    case MOSQ_ERR_EAI:
        return "its name is unknown";
    default:
        return mosquitto_strerror(mqtt->connect_result);
    }
}

static void connect_done(uv_work_t *work, int status)
{
    (void)status;
    struct intake_mqtt *mqtt = work->data;
    mqtt->since_ms = clock_uptime_ms();
    if (mqtt->connect_result != MOSQ_ERR_SUCCESS || !watch_socket(mqtt)) {
        mqtt->link = LINK_DOWN;
        retry_later(mqtt, connect_error_text(mqtt));
        return;
    }
    mqtt->link = LINK_HANDSHAKE;
    intake_mqtt_flush(mqtt); /* the CONNECT */
    intake_mqtt_watch(mqtt);
}

static void make_properties(struct intake_mqtt *mqtt)
{
    mosquitto_property_free_all(&mqtt->connect_properties);
    mosquitto_property_add_int32(&mqtt->connect_properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
                                 mqtt->config->session_expiry_s);
    mosquitto_property_add_int16(&mqtt->connect_properties, MQTT_PROP_RECEIVE_MAXIMUM,
                                 (uint16_t)mqtt->commit_batch);
}

/* Never in clear text because TLS could not be set up. */
static int give_credentials(struct intake_mqtt *mqtt)
{
    const struct config_broker *config = mqtt->config;
    int result = MOSQ_ERR_SUCCESS;
    if (config->username)
        result = mosquitto_username_pw_set(mqtt->client, config->username, config->password);
    if (!config->tls || result != MOSQ_ERR_SUCCESS)
        return result;
    const char *ca_path = config->ca_file ? NULL : "/etc/ssl/certs";
    result =
        mosquitto_tls_set(mqtt->client, config->ca_file, ca_path, config->cert_file, config->key_file, NULL);
    if (result != MOSQ_ERR_SUCCESS)
        return result;
    return mosquitto_tls_opts_set(mqtt->client, 1, NULL, NULL); /* verify the broker's certificate */
}

void intake_mqtt_connect(struct intake_mqtt *mqtt)
{
    if (queue_note_confirmed(mqtt->queue) != 0) { /* see mqtt/redelivery.c */
        mqtt->link = LINK_DOWN;
        retry_later(mqtt, NULL);
        return;
    }
    if (give_credentials(mqtt) != MOSQ_ERR_SUCCESS) {
        mqtt->link = LINK_DOWN;
        retry_later(mqtt, "TLS cannot be set up: check ca_file, cert_file and key_file");
        return;
    }
    mqtt->closed = mqtt->refused = false;
    mqtt->close_reason = MOSQ_ERR_CONN_LOST;
    make_properties(mqtt);
    mosquitto_int_option(mqtt->client, MOSQ_OPT_PROTOCOL_VERSION,
                         mqtt->use_v311 ? MQTT_PROTOCOL_V311 : MQTT_PROTOCOL_V5);
    mqtt->prepare_due = true;
    mqtt->link = LINK_CONNECTING;
    mqtt->work.data = mqtt;
    uv_queue_work(mqtt->loop, &mqtt->work, connect_work, connect_done);
}

/* ---- again ---- */

/* After a failed commit, only once a trial commit succeeds: otherwise the broker
 * would send everything again, for nothing. */
static bool storage_works(struct intake_mqtt *mqtt)
{
    if (!mqtt->storage_failed && !queue_fails(mqtt->queue))
        return true;
    if (queue_trial_commit(mqtt->queue) != 0)
        return false;
    mqtt->storage_failed = false;
    if (mqtt->storage_told)
        log_notice(EVENT_QUEUE_WRITABLE, "commits succeed again");
    mqtt->storage_told = false;
    return true;
}

static void on_retry(uv_timer_t *timer)
{
    struct intake_mqtt *mqtt = timer->data;
    if (!storage_works(mqtt))
        retry_later(mqtt, NULL);
    else
        intake_mqtt_connect_if_room(mqtt);
}

static void retry_later(struct intake_mqtt *mqtt, const char *why)
{
    int64_t wait_ms = backoff_wait_ms(RETRY_MIN_MS, RETRY_MAX_MS, ++mqtt->failures, clock_chance());
    intake_mqtt_tell_away(mqtt, why, wait_ms);
    uv_timer_start(&mqtt->again, on_retry, (uint64_t)wait_ms, 0);
}

void intake_mqtt_retry(struct intake_mqtt *mqtt)
{
    retry_later(mqtt, NULL);
}
