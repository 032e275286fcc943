/* intake_mqtt_private.h - what the files of the MQTT edge share; nobody else
 * includes it.
 *
 *   intake_mqtt.c            read, commit, and only then write
 *   intake_mqtt_replay.c     what the broker sends again, and until when
 *   intake_mqtt_link.c       connecting, and connecting again
 *   intake_mqtt_subscribe.c  the topic filters held at the broker
 *
 *                  timer, trial commit            worker thread
 *     ┌───────────┐ ─────────────► ┌────────────┐ connected ┌───────────┐
 *     │ LINK_DOWN │                │ CONNECTING │ ────────► │ HANDSHAKE │
 *     └───────────┘ ◄───────────── └────────────┘           └───────────┘
 *          ▲    ▲        failed                          CONNACK │  │ refused, closed,
 *          │    └────────────────────────────────────────────────┼──┘ too slow
 *          │   closed, or the storage fails   ┌─────────┐        │
 *          └───────────────────────────────── │ LINK_UP │ ◄──────┘
 *                                             └─────────┘
 */
#ifndef SLUICE_INTAKE_MQTT_PRIVATE_H
#define SLUICE_INTAKE_MQTT_PRIVATE_H

#include "intake_mqtt.h"
#include "replay.h"
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
    struct queue *queue;
    struct mosquitto *client; /* belongs to the worker while CONNECTING */
    enum link link;

    /* the socket on the loop */
    uv_poll_t *poll; /* on a duplicate of the socket, which libmosquitto may close at any time */
    int poll_fd;
    uv_timer_t tick;  /* once a second: keepalive, deadlines */
    uv_timer_t again; /* LINK_DOWN: connect; otherwise: the database was locked */
    bool lock_wait;
    bool in_transaction;
    unsigned batch;     /* messages in it */
    size_t batch_bytes; /* of their payloads */
    bool one_by_one;    /* something behind the first message made us hang up */
    struct replay *replay;
    bool dup;         /* flag of the PUBLISH that is about to be handed over */
    bool release_due; /* committed, and the acknowledgements are not all out */

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
    bool storage_failed;

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
    int64_t sync_id;    /* the highest message id that it confirms */
    int64_t confirmed_id;

    int open_handles; /* the memory can go when none is */
};

/* ---- intake_mqtt.c ---- */
/* Reads, commits, writes: whatever is to be done. */
void intake_mqtt_work(struct intake_mqtt *mqtt);
/* The only place where packets are written. Never while a transaction is open:
 * a write takes along every acknowledgement that is queued. Returns true when
 * nothing is left to write. */
bool intake_mqtt_flush(struct intake_mqtt *mqtt);
void intake_mqtt_watch(struct intake_mqtt *mqtt);
void intake_mqtt_set_callbacks(struct intake_mqtt *mqtt);

/* ---- intake_mqtt_replay.c ---- */
/* route_count: rows that one message may have. */
void intake_mqtt_replay_init(struct intake_mqtt *mqtt, size_t route_count);
/* A CONNACK came. */
void intake_mqtt_expect_replay(struct intake_mqtt *mqtt, bool session_present);
bool intake_mqtt_is_duplicate(struct intake_mqtt *mqtt, const struct mosquitto_message *packet);
/* Asks the broker for a sign that it read our acknowledgements, unless it knows
 * of all of them, or one is under way. */
void intake_mqtt_sync(struct intake_mqtt *mqtt);
/* Whether this UNSUBACK is the sign. */
bool intake_mqtt_synced(struct intake_mqtt *mqtt, int packet_id);

/* ---- intake_mqtt_link.c ---- */
/* Gives the connection up and tries again later. */
void intake_mqtt_link_down(struct intake_mqtt *mqtt);
/* The same, without another byte written: queued acknowledgements must not
 * leave. */
void intake_mqtt_storage_failed(struct intake_mqtt *mqtt, int error);
void intake_mqtt_connect(struct intake_mqtt *mqtt);
void intake_mqtt_unwatch(struct intake_mqtt *mqtt);
void intake_mqtt_on_connack(struct mosquitto *client, void *context, int reason, int flags,
                            const mosquitto_property *properties);

/* ---- intake_mqtt_subscribe.c ---- */
/* Does what is due. Needs the database and no open transaction; -EBUSY: later. */
int intake_mqtt_subscriptions(struct intake_mqtt *mqtt);
void intake_mqtt_subscriptions_free(struct intake_mqtt *mqtt);
void intake_mqtt_on_suback(struct mosquitto *client, void *context, int packet_id, int count,
                           const int *granted, const mosquitto_property *properties);
void intake_mqtt_on_unsuback(struct mosquitto *client, void *context, int packet_id,
                             const mosquitto_property *properties);

#endif
