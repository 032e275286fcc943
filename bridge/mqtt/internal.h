/* mqtt/internal.h - what the files of the MQTT edge share; nobody else
 * includes it.
 *
 *   mqtt/edge.c            read, commit, and only then write
 *   mqtt/redelivery.c     what the broker sends again, and until when
 *   mqtt/connection.c       connecting, and connecting again
 *   mqtt/pause.c       not connecting, while the queue is full
 *   mqtt/subscriptions.c  the topic filters held at the broker
 *   mqtt/status.c     what is said of all that
 *
 *                  timer, trial commit            worker thread
 *     ┌───────────┐ ─────────────► ┌────────────┐ connected ┌───────────┐
 *     │ LINK_DOWN │                │ CONNECTING │ ────────► │ HANDSHAKE │
 *     └───────────┘ ◄───────────── └────────────┘           └───────────┘
 *          ▲    ▲        failed                          CONNACK │  │ refused, closed,
 *          │    └────────────────────────────────────────────────┼──┘ too slow
 *          │   closed, full, storage fails    ┌─────────┐        │
 *          └───────────────────────────────── │ LINK_UP │ ◄──────┘
 *                                             └─────────┘
 */
#ifndef SLUICE_INTAKE_MQTT_PRIVATE_H
#define SLUICE_INTAKE_MQTT_PRIVATE_H

#include "intake/batch.h"
#include "message/replay.h"
#include "mqtt/edge.h"
#include <mosquitto.h>
#include <mqtt_protocol.h>

enum link { LINK_DOWN, LINK_CONNECTING, LINK_HANDSHAKE, LINK_UP };

struct filter {
    uint32_t identifier;
    int packet_id; /* of its SUBSCRIBE */
    bool granted;
    bool note_due;
};

/* A filter that the configuration no longer has. */
struct vanished {
    char *filter;
    uint32_t identifier;
    uint32_t covered_to;
    int packet_id; /* of its UNSUBSCRIBE, 0: none was sent */
    bool unsubscribed;
    bool note_due;
};

struct intake_mqtt {
    uv_loop_t *loop;
    const struct config_broker *config;
    unsigned commit_batch;
    struct intake *intake;
    struct batch *batch;
    struct queue *queue;
    struct mosquitto *client; /* belongs to the worker while CONNECTING */
    enum link link;

    /* the socket on the loop */
    uv_poll_t *poll; /* on a duplicate of the socket, which libmosquitto may close at any time */
    int poll_fd;
    uv_timer_t tick;  /* once a second: keepalive, deadlines */
    uv_timer_t again; /* LINK_DOWN: connect */
    bool in_transaction;
    bool one_by_one; /* something behind the first message made us hang up */
    struct replay *replay;
    bool dup;       /* flag of the PUBLISH that is about to be handed over */
    bool first_due; /* in this resumed session nothing came yet that is, or was, stored */

    /* connecting */
    uv_work_t work;
    int connect_result;
    int connect_errno;
    mosquitto_property *connect_properties;
    bool closed;      /* libmosquitto closed the socket: */
    int close_reason; /* why; MOSQ_ERR_... or an MQTT 5 reason code */
    int close_errno;
    bool refused; /* by a CONNACK: */
    int refusal;  /* its reason or return code */
    bool use_v311;
    bool v5_worked;
    unsigned closed_early; /* closed without a CONNACK, in a row */
    unsigned failures;     /* in a row */
    int64_t since_ms;      /* uptime of the last change of link */
    char *why;             /* it is away; NULL: it is not */
    int64_t away_ms;       /* uptime since when; 0: it is not */
    int64_t away_told_ms;  /* uptime, in the log */
    int64_t retry_at_ms;   /* uptime of the next attempt */
    bool storage_failed;
    bool storage_told;       /* in the log */
    int64_t storage_told_ms; /* uptime; 0: never yet */

    /* the queue is full */
    int64_t holding_ms; /* uptime; 0: it is not */
    bool hold_told;
    int64_t hold_told_ms; /* uptime; 0: never yet */

    /* subscriptions */
    bool session_present;
    bool identifiers_available;
    bool prepare_due; /* identifiers are to be read; before that, nothing is */
    bool subscribe_due;
    bool note_due;          /* the broker answered; the database is to be told */
    struct filter *filters; /* by filter number */
    uint32_t *ranks;        /* by filter number, for route_table_serve */
    size_t filter_count;
    struct vanished *vanished;
    size_t vanished_count;

    /* a round trip behind the acknowledgements */
    int sync_packet_id; /* 0: none is under way */
    bool sync_counts;   /* its answer tells that the acknowledgements were read */
    int64_t sync_id;    /* the highest message id that it confirms */
    int64_t sync_ms;    /* uptime when it began */
    unsigned between;   /* messages that came since */
    int64_t confirmed_id;
    bool late;             /* what comes now may have waited while we were away */
    unsigned unacked;      /* messages in the open transaction */
    unsigned most_unacked; /* so many at least the broker sends without an acknowledgement */
    int64_t drained_ms;    /* for queue_drained, once the open transaction is committed; 0: nothing */
    int64_t last_drained_ms;

    int open_handles; /* the memory can go when none is */
};

/* ---- mqtt/edge.c ---- */
/* Reads, commits, writes: whatever is to be done. */
void intake_mqtt_work(struct intake_mqtt *mqtt);
/* The only place where packets are written. Never while a transaction is open:
 * a write takes along every acknowledgement that is queued. Returns true when
 * nothing is left to write. */
bool intake_mqtt_flush(struct intake_mqtt *mqtt);
void intake_mqtt_watch(struct intake_mqtt *mqtt);
void intake_mqtt_set_callbacks(struct intake_mqtt *mqtt);

/* ---- mqtt/redelivery.c ---- */
/* route_count: rows that one message may have. */
void intake_mqtt_replay_init(struct intake_mqtt *mqtt, size_t route_count);
/* A CONNACK came. */
void intake_mqtt_expect_replay(struct intake_mqtt *mqtt, bool session_present);
bool intake_mqtt_is_duplicate(struct intake_mqtt *mqtt, const struct mosquitto_message *packet);
/* It was none, and is stored now. */
void intake_mqtt_is_new(struct intake_mqtt *mqtt);
/* Counts a message; before the transaction is committed. */
void intake_mqtt_count(struct intake_mqtt *mqtt, const struct mosquitto_message *packet);
/* The transaction was committed, or not. */
void intake_mqtt_committed(struct intake_mqtt *mqtt, bool well);
/* Asks the broker for a sign that it read our acknowledgements, where that would
 * tell something new, unless one is under way. */
void intake_mqtt_sync(struct intake_mqtt *mqtt);
/* The broker read the acknowledgements of messages up to this one. */
void intake_mqtt_confirm(struct intake_mqtt *mqtt, int64_t id);
/* Whether this UNSUBACK is the sign. */
bool intake_mqtt_synced(struct intake_mqtt *mqtt, int packet_id);

/* ---- mqtt/connection.c ---- */
/* Gives the connection up and tries again later. */
void intake_mqtt_link_down(struct intake_mqtt *mqtt);
/* The same, without another byte written: queued acknowledgements must not
 * leave. */
void intake_mqtt_storage_failed(struct intake_mqtt *mqtt, int error);
void intake_mqtt_connect(struct intake_mqtt *mqtt);
/* Connects, or does not, after a while. */
void intake_mqtt_retry(struct intake_mqtt *mqtt);
void intake_mqtt_unwatch(struct intake_mqtt *mqtt);
void intake_mqtt_on_connack(struct mosquitto *client, void *context, int reason, int flags,
                            const mosquitto_property *properties);

/* ---- mqtt/pause.c ---- */
/* Whether it is connected, and nothing more may be read. */
bool intake_mqtt_must_hold(const struct intake_mqtt *mqtt);
/* Disconnects, once nothing is left to write, and connects when there is room. */
void intake_mqtt_hold(struct intake_mqtt *mqtt);
/* Not connected: connects, now or when there is room. */
void intake_mqtt_connect_if_room(struct intake_mqtt *mqtt);

/* ---- mqtt/status.c ---- */
/* The next attempt is in wait_ms; why: what this one failed for, or NULL where the log
 * has that already. */
void intake_mqtt_tell_away(struct intake_mqtt *mqtt, const char *why, int64_t wait_ms);
void intake_mqtt_tell_connected(struct intake_mqtt *mqtt);

/* ---- mqtt/subscriptions.c ---- */
/* Does what is due. Needs the database and no open transaction; -EBUSY: later. */
int intake_mqtt_subscriptions(struct intake_mqtt *mqtt);
void intake_mqtt_subscriptions_free(struct intake_mqtt *mqtt);
void intake_mqtt_on_suback(struct mosquitto *client, void *context, int packet_id, int count,
                           const int *granted, const mosquitto_property *properties);
void intake_mqtt_on_unsuback(struct mosquitto *client, void *context, int packet_id,
                             const mosquitto_property *properties);

#endif
