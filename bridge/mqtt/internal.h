/* mqtt/internal.h - the connection to the broker, as the files of this room share it.
 *
 *   mqtt/edge.c           reads, commits, and only then writes
 *   mqtt/receive.c        what becomes of a PUBLISH
 *   mqtt/pause.c          no connection while the queue takes nothing
 *   mqtt/connection.c     connects, and connects again
 *   mqtt/copies.c         several copies of one message
 *   mqtt/leftover.c       topic filters that the broker has for us, and the queue does not know
 *   mqtt/subscriptions.c  the topic filters that the broker has for us
 *   mqtt/protocol.c       MQTT 5 or 3.1.1, and what is remembered of the session
 *   mqtt/status.c         the state, for the log and for people
 *   mqtt/silence.c        filters that no message matches
 *   mqtt/acks.c           acknowledgements to devices
 *   mqtt/redelivery.c     what the broker sends again, and until when
 *   mqtt/unreadable.c     packets that libmosquitto cannot take
 *   mqtt/properties.c     expiry, content type and user properties of a message
 *   mqtt/reason.c         why there is no connection, for people
 *   mqtt/socket.c         the socket on the loop, and the only place that writes
 *
 * A file calls only those below it. The two calls upwards are function pointers.
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
#ifndef SLUICE_MQTT_INTERNAL_H
#define SLUICE_MQTT_INTERNAL_H

#include "base/throttle.h"
#include "config/config.h"
#include "intake/batch.h"
#include "message/replay.h"
#include "mqtt/properties.h"
#include "net/pace.h"
#include <mosquitto.h>
#include <mqtt_protocol.h>

/* Two clients with one client_id end each other's connections, and each waits at most half of
 * BRIEF_MS before it connects again (RETRY_MAX_MS). */
enum { BRIEF_MS = 60 * 1000, CLASH_AFTER = 3 };

enum link { LINK_DOWN, LINK_CONNECTING, LINK_HANDSHAKE, LINK_UP };

/* A filter of the configuration. */
struct filter {
    uint32_t identifier;
    int packet_id; /* of its SUBSCRIBE */
    bool granted;
    bool known;    /* it was granted before it was last subscribed to */
    bool save_due; /* to the database */
    /* what the broker said; it stays until it says something else */
    bool is_answered;
    int qos;         /* granted */
    const char *why; /* it is refused, or could not be sent; static text; NULL: it is not */
    /* messages that match it (mqtt/silence.h) */
    bool matched; /* there was one, as the database has it */
    bool matched_due;
    bool is_heard;     /* there was one since the start */
    uint64_t retained; /* messages that matched it, and that no route took */
    int64_t others_ms; /* uptime of the first message that did not match it; 0: none came */
};

/* A filter that the configuration no longer has. */
struct vanished {
    char *filter;
    uint32_t identifier;
    uint32_t covered_to;
    int packet_id; /* of its UNSUBSCRIBE, 0: none was sent */
    bool unsubscribed;
    bool save_due;
};

/* Filters that only the broker knows (mqtt/leftover.h). */
struct leftover {
    uint64_t tried[16]; /* what led to an attempt to unsubscribe from them */
    unsigned tried_count;
    int packet_id; /* of its UNSUBSCRIBE; 0: none is in flight */
};

struct subscriptions {
    bool prepare_due; /* identifiers must be read from the database before a message is read */
    bool subscribe_due;
    bool session_is_new;
    bool save_due;          /* the broker acknowledged; the database does not have it yet */
    struct filter *filters; /* by filter number */
    uint32_t *ranks;        /* by filter number, for route_table_serve */
    size_t filter_count;
    struct vanished *vanished;
    size_t vanished_count;
    struct leftover leftover;
    bool overlap; /* a topic can match two of the filters */
};

/* The copies of the last message (mqtt/copies.h). */
struct copies {
    struct queue_copies last;
    struct queue_copies last_qos0; /* it may overtake others; it never comes again */
    bool are_complete;             /* the broker has sent all copies of the messages that came */
    bool save_due;                 /* `last` changed */
    bool is_saved;                 /* the queue has one */
};

/* What was agreed with the broker (mqtt/protocol.h). */
/* The acknowledgements of a device (mqtt/acks.h). */
enum { ACK_TOPICS = 64 };
struct ack_topic {
    char *topic;
    int packet_id;     /* of the one at QoS 1 that is in flight; 0: none is */
    int64_t tried_ms;  /* uptime of the last one at QoS 1; 0: never */
    int reason;        /* of its PUBACK */
    unsigned failures; /* in a row */
};
struct acks {
    struct ack_topic topics[ACK_TOPICS];
    size_t count;
};

struct protocol {
    struct queue_session session; /* protocol 0: there was none yet */
    bool save_due;
    bool is_fixed;         /* 3.1.1, until the process ends */
    unsigned early_closes; /* connections closed before a CONNACK, in a row */
    unsigned failures;     /* connections that ended before a CONNACK, for any reason, in a row */
    unsigned malformed;    /* those that ended because of a CONNACK that is none of MQTT 5, in a row */
    char *broker;          /* host:port */
    bool is_first;         /* the next connection is the first since the start */
};

struct redelivery {
    struct replay *replay;
    bool dup;       /* flag of the PUBLISH that is about to be handed over */
    bool first_due; /* in this resumed session, no message came yet that is, or was, stored */
    int64_t confirmed_id;
    int last_packet_id;  /* of a new message in this connection; 0: none came */
    bool reuse_save_due; /* the broker reuses identifiers; the queue does not know it yet */
    bool reuse_is_put;   /* it is in the open transaction */
    /* the round trip after the acknowledgements */
    int trip_packet_id; /* 0: none is in flight */
    bool trip_confirms;
    int64_t trip_id;         /* the highest message id that it confirms */
    int64_t trip_ms;         /* uptime when it began */
    unsigned trip_messages;  /* that came since */
    bool trip_settles;       /* it began after the subscriptions were made */
    bool trip_ends_retained; /* retained_due was set before it began */
    bool is_settled;         /* the broker has no message left that is older than the present subscriptions */
    /* late messages */
    bool late;             /* what comes now may have waited while we were away */
    bool retained_due;     /* the broker may still send what it had retained before we subscribed */
    unsigned unacked;      /* messages in the open transaction */
    unsigned most_unacked; /* the broker is known to send this many without an acknowledgement */
    int64_t drained_ms;    /* for the queue, once the open transaction is committed; 0: nothing */
    int64_t last_drained_ms;
};

/* A packet that libmosquitto cannot take (mqtt/unreadable.h). Digests are 0 where there is none. */
struct unreadable {
    bool is_blind;     /* where the next packet begins is not known, or need not be */
    bool inside;       /* libmosquitto has read a part of a PUBLISH */
    uint64_t handed;   /* the PUBLISH that libmosquitto is about to read */
    uint64_t suspect;  /* the one that closed the last connection */
    size_t left;       /* bytes of the suspect that we have not read */
    struct buf packet; /* what we read of it */
    struct buf topic;  /* escaped */
    struct mosquitto_message message;
    bool ack_due;
    int64_t taken_ms;   /* uptime, when the last one was taken; 0: never */
    bool retained_left; /* not all of what was retained came before the connection was closed */
};

struct mqtt {
    uv_loop_t *loop;
    const struct config_broker *config;
    const struct config_broker *login; /* user name and password */
    uint16_t receive_maximum;
    struct intake *intake;
    struct batch *batch;
    struct queue *queue;
    struct mosquitto *client; /* belongs to the worker while CONNECTING */
    enum link link;
    int64_t since_ms; /* uptime of the last change of link */
    int open_handles; /* the memory is freed when there are none */

    /* Calls upwards. */
    void (*work)(struct mqtt *mqtt);        /* mqtt/edge.c: the socket is ready */
    void (*try_connect)(struct mqtt *mqtt); /* mqtt/pause.c: connects, or tries again later */

    /* the socket on the loop */
    uv_poll_t *poll; /* on a duplicate of the socket, which libmosquitto may close at any time */
    int poll_fd;
    bool closed;      /* libmosquitto closed the socket: */
    int close_reason; /* MOSQ_ERR_... or an MQTT 5 reason code */
    int close_errno;

    /* connecting */
    struct pace tick; /* keepalive, deadlines */
    uv_timer_t retry; /* LINK_DOWN: to the next attempt */
    uv_work_t work_request;
    int connect_result;
    int connect_errno;
    char tls_error[120]; /* the first that OpenSSL reported of this connection, or "" */
    mosquitto_property *connect_properties;
    bool verifies; /* libmosquitto checks the broker's certificate */
    bool refused;  /* by a CONNACK: */
    int refusal;   /* its reason or return code */
    bool use_v311;
    bool session_present;
    bool identifiers_available;
    bool one_by_one;   /* a packet after the first message made us close the connection */
    unsigned failures; /* in a row */
    unsigned brief;    /* connections in a row that were accepted, and lost within BRIEF_MS */
    bool clash_logged;

    /* the broker is away */
    char *why;           /* NULL: it is not */
    int64_t away_ms;     /* uptime since when; 0: it is not */
    int64_t retry_at_ms; /* uptime of the next attempt */
    struct throttle away_reports;

    /* the queue takes nothing */
    int64_t full_ms; /* uptime since when; 0: it has room */
    bool full_logged;
    bool is_routine; /* the connection ended because the queue was full, which was not logged */
    struct throttle full_reports;
    bool failure_logged; /* a commit failed */
    int64_t held_ms;     /* uptime since when commits fail, so that we do not connect; 0: they do not */
    int storage_error;   /* why */
    struct throttle failure_reports;

    struct protocol protocol;
    struct unreadable unreadable;
    struct message_properties properties; /* of the message at hand */
    struct subscriptions subscriptions;
    struct redelivery redelivery;
    struct copies copies;
    struct acks acks;
};

#endif
