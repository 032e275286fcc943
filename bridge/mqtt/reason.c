/* mqtt/reason.c - see mqtt/reason.h.
 *
 * libmosquitto's own texts name what happened in a library or in the protocol. The most frequent
 * mistakes in a configuration get a text that names the key.
 */
#include "mqtt/reason.h"
#include "base/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- TLS ---- */

/* "OpenSSL Error[0]: error:0A000086:SSL routines::certificate verify failed": libmosquitto's code
 * says no more than MOSQ_ERR_TLS. */
static void on_log(struct mosquitto *client, void *context, int level, const char *line)
{
    (void)client;
    (void)level;
    struct mqtt *mqtt = context;
    const char *text = strrchr(line, ':');
    if (strncmp(line, "OpenSSL Error", strlen("OpenSSL Error")) == 0 && text && mqtt->tls_error[0] == '\0')
        snprintf(mqtt->tls_error, sizeof mqtt->tls_error, "%s", text + 1);
}

void reason_listen(struct mqtt *mqtt)
{
    mqtt->tls_error[0] = '\0';
    mosquitto_log_callback_set(mqtt->client, on_log);
}

static char *tls_text(const struct mqtt *mqtt)
{
    const char *error = mqtt->tls_error;
    if (strstr(error, "verify failed"))
        return xasprintf("TLS: its certificate is not valid for %s, or ca_file does not have the authority "
                         "that issued it",
                         mqtt->config->host);
    if (error[0] == '\0' || strstr(error, "eof") || strstr(error, "version number"))
        return xasprintf("TLS: the handshake failed%s%s: if port %u is one without TLS, set tls = no, or the "
                         "port with TLS",
                         error[0] != '\0' ? ": " : "", error, mqtt->config->port);
    if (strstr(error, "values mismatch"))
        return xasprintf("TLS: cert_file and key_file do not match (%s)", error);
    if (strstr(error, "alert"))
        return xasprintf("TLS: the broker refuses the handshake (%s): see cert_file and key_file in [broker]",
                         error);
    return xasprintf("TLS: %s", error);
}

/* ---- connecting ---- */

char *reason_of_connect(const struct mqtt *mqtt)
{
    switch (mqtt->connect_result) {
    case MOSQ_ERR_ERRNO:
        if (mqtt->connect_errno == ECONNREFUSED && address_is_own(mqtt->config->host))
            return xstrdup(
                "Connection refused: is it running? systemctl status mosquitto has its errors; sudo "
                "sluice status looks at its database");
        return xstrdup(strerror(mqtt->connect_errno));
    case MOSQ_ERR_EAI:
        return xstrdup("its name is unknown");
    case MOSQ_ERR_TLS:
        return tls_text(mqtt);
    default:
        return xstrdup(mosquitto_strerror(mqtt->connect_result));
    }
}

/* ---- refused ---- */

/* Return codes of 3.1.1, section 3.2.2.3, and reasons of 5.0, section 3.2.2.2. Mosquitto refuses a
 * client_id that clientid_prefixes forbids as it refuses a wrong password, and a keepalive above its
 * max_keepalive as it refuses a client_id. */
static char *refusal_text(const struct mqtt *mqtt)
{
    const struct config_broker *config = mqtt->config;
    switch (mqtt->refusal) {
    case CONNACK_REFUSED_BAD_USERNAME_PASSWORD:
    case CONNACK_REFUSED_NOT_AUTHORIZED:
    case MQTT_RC_BAD_USERNAME_OR_PASSWORD:
    case MQTT_RC_NOT_AUTHORIZED:
        return xasprintf(
            "refused: not authorised; see username and password in [broker], and whether the broker "
            "allows the client_id %s (clientid_prefixes of Mosquitto)",
            config->client_id);
    case CONNACK_REFUSED_IDENTIFIER_REJECTED:
    case MQTT_RC_CLIENTID_NOT_VALID:
        return xasprintf("refused: the broker does not allow the client_id %s, or a keepalive of %u s "
                         "(max_keepalive of Mosquitto): change them in [broker]",
                         config->client_id, config->keepalive_s);
    default:
        return xasprintf("refused: %s", mqtt->use_v311 ? mosquitto_connack_string(mqtt->refusal)
                                                       : mosquitto_reason_string(mqtt->refusal));
    }
}

/* ---- closed ---- */

/* A broker that expects TLS closes a connection in clear text, and gives no reason. */
static char *lost_text(const struct mqtt *mqtt)
{
    if (mqtt->link != LINK_HANDSHAKE)
        return xstrdup("the connection was lost");
    if (mqtt->config->tls)
        return tls_text(mqtt);
    return xasprintf(
        "the connection was lost before the broker responded: if port %u is one with TLS, set tls "
        "= yes",
        mqtt->config->port);
}

static const char no_wildcards[] =
    "it does not support wildcards: name each topic in a line of its own, without + and #";

/* A DISCONNECT of the broker, MQTT 5.0 section 3.14.2.1. */
static const char *disconnect_text(int reason)
{
    switch (reason) {
    case MQTT_RC_SESSION_TAKEN_OVER:
        return "another client took over the session: each sluice needs a client_id of its own";
    case MQTT_RC_WILDCARD_SUBS_NOT_SUPPORTED:
        return no_wildcards;
    default:
        return mosquitto_reason_string(reason);
    }
}

const char *reason_of_suback(int code)
{
    switch (code) {
    case MQTT_RC_WILDCARD_SUBS_NOT_SUPPORTED:
        return no_wildcards;
    case MQTT_RC_SHARED_SUBS_NOT_SUPPORTED:
        return "it does not support shared subscriptions: name the topic without $share/";
    case MQTT_RC_SUBSCRIPTION_IDS_NOT_SUPPORTED:
        return "it does not support subscription identifiers: set protocol = 3.1.1 in [broker]";
    case MQTT_RC_TOPIC_FILTER_INVALID:
        return "it takes no such topic filter: see its settings";
    case MQTT_RC_QUOTA_EXCEEDED:
        return "it allows no more subscriptions: see its settings";
    default:
        return "allow it in the broker's ACL";
    }
}

char *reason_of_close(const struct mqtt *mqtt)
{
    int reason = mqtt->close_reason;
    if (mqtt->refused)
        return refusal_text(mqtt);
    if (reason >= 128)
        return xstrdup(disconnect_text(reason));
    switch (reason) {
    case MOSQ_ERR_SUCCESS:
    case MOSQ_ERR_CONN_LOST:
        return lost_text(mqtt);
    case MOSQ_ERR_TLS:
        return tls_text(mqtt);
    case MOSQ_ERR_KEEPALIVE:
        return xstrdup("it does not respond");
    case MOSQ_ERR_ERRNO:
        return mqtt->close_errno != 0 ? xstrdup(strerror(mqtt->close_errno)) : lost_text(mqtt);
    case MOSQ_ERR_DUPLICATE_PROPERTY:
        return xstrdup("it sends one copy for several filters, which needs protocol = 3.1.1");
    case MOSQ_ERR_MALFORMED_UTF8:
        return xstrdup(
            "it sent a topic with control characters or invalid UTF-8, which MQTT forbids: find its "
            "publisher");
    default:
        return xstrdup(mosquitto_strerror(reason));
    }
}
