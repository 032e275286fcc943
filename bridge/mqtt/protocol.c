/* mqtt/protocol.c - see mqtt/protocol.h. */
#include "mqtt/protocol.h"
#include "base/log.h"
#include "text/units.h"

#include <errno.h>

enum {
    LEVEL_V311 = 4,   /* MQTT 3.1.1, section 3.1.2.2 */
    LEVEL_V5 = 5,     /* MQTT 5.0, section 3.1.2.2 */
    EARLY_CLOSES = 2, /* connections closed before a CONNACK, in a row */
};

static bool is_auto(const struct mqtt *mqtt)
{
    return mqtt->config->protocol == CONFIG_PROTOCOL_AUTO;
}

void mqtt_protocol_init(struct mqtt *mqtt)
{
    struct protocol *protocol = &mqtt->protocol;
    protocol->broker = xasprintf("%s:%u", mqtt->config->host, mqtt->config->port);
    int error = queue_session(mqtt->queue, mqtt->config->client_id, protocol->broker, &protocol->session);
    if (error != 0 && error != -ENOENT)
        log_warning(EVENT_SESSION_UNKNOWN, "what is known of the session with the broker cannot be read");
    protocol->session.broker = protocol->broker;
    protocol->is_first = true;
    queue_session_use(mqtt->queue, mqtt->config->client_id);
    mqtt->use_v311 = mqtt->config->protocol == CONFIG_PROTOCOL_V311 && protocol->session.protocol != LEVEL_V5;
}

/* The broker had it, and has it no more. */
static void report_lost(struct mqtt *mqtt)
{
    struct queue_session *session = &mqtt->protocol.session;
    session->lost_since_ms = queue_drained_wall_ms(mqtt->queue);
    session->lost_until_ms = queue_now_ms(mqtt->queue);
    if (session->lost_since_ms == 0)
        session->lost_since_ms = session->lost_until_ms;
    char since[UNITS_BYTES];
    log_warning(
        EVENT_SESSION_LOST,
        "client_id %s: the broker has forgotten the session, with all messages that waited in it: those "
        "published since %s may be missing. See \"persistence\" in mosquitto.conf(5)",
        mqtt->config->client_id, units_time(session->lost_since_ms, true, since));
}

void mqtt_protocol_agreed(struct mqtt *mqtt, bool session_present)
{
    struct protocol *protocol = &mqtt->protocol;
    int level = mqtt->use_v311 ? LEVEL_V311 : LEVEL_V5;
    bool is_lost = protocol->session.protocol != 0 && !session_present;
    bool expires = !mqtt->use_v311 && mqtt->config->session_expiry_s != UINT32_MAX;
    int64_t expiry_s = expires ? mqtt->config->session_expiry_s : 0;
    protocol->save_due = protocol->save_due || protocol->is_first || is_lost ||
                         protocol->session.protocol != level || protocol->session.expiry_s != expiry_s;
    if (is_lost)
        report_lost(mqtt);
    if (!session_present)
        protocol->session.reuses_ids = false;
    protocol->is_first = false;
    protocol->session.protocol = level;
    protocol->session.expiry_s = expiry_s;
    protocol->early_closes = protocol->failures = protocol->malformed = 0;
}

static void count_malformed(struct mqtt *mqtt)
{
    bool malformed =
        mqtt->link == LINK_HANDSHAKE && !mqtt->refused &&
        (mqtt->close_reason == MOSQ_ERR_MALFORMED_PACKET || mqtt->close_reason == MOSQ_ERR_PROTOCOL);
    mqtt->protocol.malformed = malformed ? mqtt->protocol.malformed + 1 : 0;
}

/* It answered, but not as a broker with MQTT 5 does. Others than brokers, too, send what is no CONNACK of
 * MQTT 5, so a session that had MQTT 5 needs a second one. */
static bool is_without_v5(const struct mqtt *mqtt)
{
    if (mqtt->refused)
        return mqtt->refusal == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION ||
               mqtt->refusal == CONNACK_REFUSED_PROTOCOL_VERSION;
    return mqtt->protocol.malformed >= (mqtt->protocol.session.protocol == LEVEL_V5 ? 2 : 1);
}

/* It closed the connection before a CONNACK. */
static bool is_closed_early(const struct mqtt *mqtt)
{
    return mqtt->link == LINK_HANDSHAKE && !mqtt->refused &&
           (mqtt->close_reason == MOSQ_ERR_SUCCESS || mqtt->close_reason == MOSQ_ERR_CONN_LOST ||
            mqtt->close_reason == MOSQ_ERR_ERRNO);
}

/* How many connections with MQTT 5 it may close before 3.1.1 is tried; 0: any number. */
static unsigned closes_before_v311(const struct mqtt *mqtt)
{
    switch (mqtt->protocol.session.protocol) {
    case LEVEL_V5:
        return 0;
    case LEVEL_V311:
        return 1;
    default:
        return EARLY_CLOSES;
    }
}

static const char *closed_early(struct mqtt *mqtt)
{
    struct protocol *protocol = &mqtt->protocol;
    unsigned closes = ++protocol->early_closes;
    if (mqtt->use_v311) {
        mqtt->use_v311 = closes < EARLY_CLOSES;
        protocol->early_closes = mqtt->use_v311 ? closes : 0;
        return NULL;
    }
    if (closes_before_v311(mqtt) == 0)
        return closes < EARLY_CLOSES
                   ? NULL
                   : "it closes the connection without a CONNACK; if it does not have MQTT 5 any more, set "
                     "protocol = 3.1.1 in [broker]";
    if (closes < closes_before_v311(mqtt))
        return NULL;
    mqtt->use_v311 = true;
    protocol->early_closes = 0;
    return NULL;
}

/* The configuration asks for 3.1.1, and MQTT 5 was tried first, to get what waits in the session. */
static void leave_v5(struct mqtt *mqtt)
{
    bool failed = mqtt->link == LINK_HANDSHAKE && ++mqtt->protocol.failures >= EARLY_CLOSES;
    if (is_without_v5(mqtt) || failed)
        mqtt->use_v311 = true;
}

static const char *choose(struct mqtt *mqtt)
{
    struct protocol *protocol = &mqtt->protocol;
    if (mqtt->close_reason == MOSQ_ERR_DUPLICATE_PROPERTY)
        protocol->is_fixed = mqtt->use_v311 = true;
    if (protocol->is_fixed)
        return NULL;
    if (mqtt->link == LINK_UP) {
        mqtt->use_v311 = false;
        return NULL;
    }
    if (!mqtt->use_v311 && is_without_v5(mqtt)) {
        mqtt->use_v311 = true;
        return "it does not speak MQTT 5, trying 3.1.1";
    }
    return is_closed_early(mqtt) ? closed_early(mqtt) : NULL;
}

const char *mqtt_protocol_closed(struct mqtt *mqtt)
{
    count_malformed(mqtt);
    if (is_auto(mqtt))
        return choose(mqtt);
    if (mqtt->config->protocol == CONFIG_PROTOCOL_V311 && !mqtt->use_v311)
        leave_v5(mqtt);
    return NULL;
}

bool mqtt_protocol_must_change(const struct mqtt *mqtt)
{
    return mqtt->link == LINK_UP && mqtt->config->protocol == CONFIG_PROTOCOL_V311 && !mqtt->use_v311 &&
           !mqtt->redelivery.late;
}

int mqtt_protocol_save(struct mqtt *mqtt)
{
    struct protocol *protocol = &mqtt->protocol;
    if (!protocol->save_due)
        return 0;
    int error = queue_session_save(mqtt->queue, mqtt->config->client_id, &protocol->session);
    protocol->save_due = error != 0;
    return error;
}
