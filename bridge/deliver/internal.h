/* deliver/internal.h - the structs that the files of the engine share. A file may call those
 * below it:
 *
 *   deliver.c      life; the loop's callbacks; which backend sends, and when
 *   send.c         make a request and start it
 *   choose.c       what is sent next: a lane, a part of a batch, a probe, a deferred message
 *   response.c     what a response means, and what follows
 *   blame.c        a failure: who is at fault, and what follows for the messages
 *   round.c        rounds of checks: how many, of which kind, and when the next one begins
 *   announce.c     what is logged about backends and routes
 *   dead_letter.c  move a message to the dead letters
 *   deferred.c     messages that left their lanes and have their own backoff
 *   part.c         parts of a batch that failed
 *   rescan.c       returned messages, where all was read already
 *   lanes.c        which messages wait in which lane, a window over the queue
 *   line.c         lanes with work, in turn; the engine's timers
 *   ring.c         the messages of a lane in memory
 *   suspect.c      what is held against one message
 *   outcome.c      facts about a request that ended
 *
 * and the pure parts: verdict, scope, destination, lane_map, rate.
 */
#ifndef SLUICE_DELIVER_INTERNAL_H
#define SLUICE_DELIVER_INTERNAL_H

#include "base/throttle.h"
#include "config/route_table.h"
#include "deliver/deliver.h"
#include "deliver/destination.h"
#include "deliver/hour.h"
#include "deliver/lane_map.h"
#include "deliver/part.h"
#include "deliver/rate.h"
#include "deliver/suspect.h"
#include "net/transfer.h"
#include <sys/queue.h>

#define ROUTE_LANES 64u

enum {
    LANE_IDS = 64,        /* that a lane knows; with batches, two of them where that is more */
    COPIES_MOST = 4096,   /* of all lanes */
    DEFERRED_MOST = 2048, /* in memory; others are read when there is room */
    HOLD_AFTER = 10,      /* rejections in a row, with nothing accepted between them */
};

/* A message that waits in a lane. */
struct waiting {
    int64_t id;
    struct queue_copy *copy; /* or NULL */
    struct suspect *suspect; /* it failed alone; or NULL */
};

/* The next messages of one order key, or of several. One request at most is in flight for
 * a lane: with its first message, its first few, or, as a check, one from further behind. */
struct lane {
    struct route_state *route;
    TAILQ_ENTRY(lane) line; /* in its backend's line, while it has work and nothing in flight */
    bool in_line;
    bool in_flight;
    unsigned parts;          /* that hold messages of it: it sends nothing else meanwhile */
    int64_t not_before_ms;   /* uptime; it waits until then */
    unsigned asked;          /* how often in a row the backend asked to wait */
    int64_t linger_until_ms; /* uptime; until then it waits for more; 0: not decided */
    struct waiting *ring;    /* of route->lane_ids: its next messages, without a gap */
    unsigned first, count;
    bool behind;     /* the queue may hold more for it, after `horizon` */
    bool feeding;    /* it ran low and is being filled */
    int64_t horizon; /* all its messages up to here are in the ring, or gone */
    int64_t kept_to; /* after the horizon, the ring has some up to here (deliver/rescan.c) */
};

/* A message that left its lane, and is tried again by itself. */
struct deferred {
    TAILQ_ENTRY(deferred) others; /* in its backend's list, by not_before_ms */
    int64_t id;
    struct route_state *route;
    struct suspect suspect;
    int64_t not_before_ms; /* uptime */
    int64_t started_ms;    /* uptime, of the request in flight */
    bool in_flight;
    bool ended; /* a person ended the deferral while it was in flight */
};
TAILQ_HEAD(deferred_list, deferred);

/* What was reported about a scope that is suspected. */
struct report {
    char *reason;      /* of the last failure; NULL: none */
    int64_t at_ms;     /* uptime of the last log line */
    int64_t before_ms; /* uptime since when it was suspected before the last reload; 0: it was not */
};

/* A round of checks (deliver/scope.h). */
struct round {
    struct lane *failed; /* its failure began the round; or NULL */
    uint64_t tries;      /* deliver->tries then */
    unsigned heads;      /* so many checks may be first messages of lanes, ... */
    unsigned deep;       /* ... then, so many behind them, ... */
    bool newest;         /* ... the newest of all as the last one of the round */
    bool alone;          /* no other message waited; the next one to arrive is tried at once */
};

/* Messages that 2xx responses delivered, which were web pages, perhaps of an error. */
struct page {
    int64_t since_ms; /* uptime of the first; 0: there is none */
    uint64_t messages;
    char *text; /* of the first */
};

struct route_state {
    const struct config_route *config;
    struct backend_state *backend;
    struct scope scope;
    struct report report;
    struct round round;
    int64_t passed_ms; /* uptime when a message of it was delivered last; 0: never */
    struct part_list parts;
    unsigned lane_ids;   /* how many messages a lane of it knows */
    size_t batch_bytes;  /* of a body; less than configured once the backend responded 413 */
    unsigned look_count; /* while it lingers: with so many that wait, look whether all fit into a batch */
    unsigned busy_lanes; /* lanes that hold messages */
    unsigned waiting;    /* messages in its lanes' rings, ... */
    unsigned flying;     /* ... of these, in flight */
    struct hour hour;
    unsigned unfit_in_row;    /* dead-lettered for their topics or payloads, with nothing delivered between */
    unsigned rejected_in_row; /* dead-lettered by responses, with nothing accepted between */
    uint64_t rejected_lanes;  /* from which lanes: bit n for lane n */
    int64_t rejected_ids[HOLD_AFTER];
    bool held;        /* too many in a row: it is not the messages */
    unsigned returns; /* of rejected_ids, of before the last start or reload: they return when
                            * something passes */
    struct page page;
    struct throttle deferrals; /* reports of deferred messages */
    struct throttle ignored;   /* reports of messages that were ignored */
    struct lane_map topics;    /* which lane each has, where their order is kept */
    struct lane lanes[ROUTE_LANES];
};

TAILQ_HEAD(lane_line, lane);

struct backend_state {
    const struct config_backend *config;
    struct destination destination;
    struct report report;
    struct rate rate;
    struct transfer *transfer;
    struct lane_line line; /* lanes with work and no request in flight, in turn */
    struct deferred_list deferred;
    unsigned deferred_in_flight;
    unsigned suspects_in_flight; /* requests with a message that failed alone before */
    int64_t deferred_after_ms;   /* uptime; with other work, none of them starts before this */
    struct round round;
    int64_t passed_ms; /* as in struct route_state */
    unsigned busy_lanes;
    bool isolated; /* the request in flight must stay alone */
    bool pump_due;
    int64_t newest_before; /* checks of the newest messages were made down to this id; 0: none were */
    bool rate_reserved;    /* a batch waits for the rate: no deferred message takes its place */
    bool by_routes;        /* it is suspected because several of its routes are */
};

/* A request in flight. */
struct flight {
    struct deliver *deliver;
    struct route_state *route;
    struct deferred *deferred;           /* the message is one of these; otherwise NULL */
    unsigned backend_probe, route_probe; /* see scope_started */
    bool isolated;                       /* nothing else was on the connection */
    bool suspect;                        /* its only message failed alone before */
    bool unheld;                         /* its message is in no lane: it is read again */
    bool convicted;                      /* an earlier failure of this message, or batch, counts already */
    size_t body_bytes;                   /* before it was compressed */
    struct queue_claim claim;
    bool may_come_again; /* see queue_settle */
    char *target;        /* of an HTTP client's message, or NULL; its query may hold a key */
    unsigned attempts;   /* of the first message */
    unsigned count;
    unsigned repaired;   /* of these (request/request.h) */
    struct lane **lanes; /* of each message; of the deferred one NULL */
    int64_t ids[];       /* ascending */
};

struct deliver {
    uv_loop_t *loop;
    uv_timer_t wake;          /* the next wait that is over */
    uv_timer_t settle;        /* when deletes get a commit of their own */
    uv_idle_t scan;           /* goes on reading the queue, a step each time the loop comes round */
    uv_check_t after_poll;    /* both: requests are started together, once the responses that */
    uv_prepare_t before_poll; /* came were acted upon; much faster than one by one */
    uv_timer_cb on_wake;
    uv_idle_cb on_scan;
    bool fresh;         /* copies were checked in this round */
    bool scan_failed;   /* to be tried again when wake fires */
    bool settle_failed; /* the settle timer tries again */
    int64_t wake_at_ms; /* INT64_MAX: wake is not set */
    int64_t storage_ms; /* uptime; the storage failed, and nothing is sent before this */
    struct queue *queue;
    const struct config *config;
    struct metrics *metrics;
    struct backend_state *backends;
    struct route_state *routes;
    int64_t frontier;       /* lanes that are not behind have seen all up to here */
    int64_t tail;           /* and there is no message after this to be seen yet */
    int64_t rescan_from;    /* ids from here on are to be read again; 0: none */
    unsigned copies;        /* in all rings */
    unsigned deferred;      /* in memory */
    bool deferred_left;     /* the queue may have more of them, after deferred_after */
    int64_t deferred_after; /* message id */
    uint64_t tries;         /* of single messages, numbered */
    unsigned in_flight;
    struct request request; /* the one being made; its memory is used again */
    bool paused, to_end;
    int64_t end_id; /* the last message that must be confirmed then */
    deliver_idle_fn *idle;
    void *idle_context;
    int open_handles; /* the memory can go when none is */
};

#endif
