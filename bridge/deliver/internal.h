/* deliver/internal.h - what the files of the engine share; nobody else includes it.
 *
 *   deliver/deliver.c         which lane sends next, and when: the line, the timers
 *   deliver/lanes.c   which messages wait in which lane, a window over the queue
 *   deliver/send.c    what a lane sends: one message, or a batch
 *   deliver/response.c  what an answer does: settle, take apart, blame, bury
 *   deliver/rescan.c   messages that came back where all was read already
 *   deliver/status.c  what people are told of backends and routes
 */
#ifndef SLUICE_DELIVER_PRIVATE_H
#define SLUICE_DELIVER_PRIVATE_H

#include "config/route_table.h"
#include "deliver/bisect.h"
#include "deliver/deliver.h"
#include "deliver/destination.h"
#include "deliver/lane_map.h"
#include "deliver/rate.h"
#include "net/transfer.h"
#include <sys/queue.h>

#define ROUTE_LANES 64u

enum {
    LANE_IDS = 64,      /* that a lane knows; with batches, two of them where that is more */
    COPIES_MOST = 4096, /* of all lanes */
};

struct failure {
    int status;      /* 0: there was no answer */
    char *words;     /* secrets struck out; NULL: there is no failure */
    int64_t wall_ms; /* when */
};

/* What is held against a message that failed, for as long as it stands in its
 * lane. A failure counts as an attempt only once a neighbour in the suspected
 * scope passed after it: until then the scope may be at fault. */
struct suspect {
    int64_t id;                /* 0: nobody */
    unsigned attempts;         /* failures that count */
    bool owed;                 /* the last failure does not count yet */
    const struct scope *scope; /* where the last failure was */
    uint64_t passes;           /* scope->passes then */
    bool isolate;              /* the connection broke under it and others: which of them was it? */
    unsigned unrelieved;       /* failures in a row while nothing at all passed in the scope */
    struct failure last;       /* what the last failure was */
    struct failure first;      /* and the first one that counted, until the queue knows it */
};

/* A message that waits in a lane. */
struct waiting {
    int64_t id;
    struct queue_copy *copy; /* or NULL */
};

/* A lane's next messages; one of them alone, or the first ones as a batch, may be
 * under way. */
struct lane {
    struct route_state *route;
    TAILQ_ENTRY(lane) line; /* in its backend's line, while it waits for its turn */
    bool in_line;
    bool in_flight;
    int64_t not_before_ms;   /* uptime; its first message is to be tried again later */
    int64_t linger_until_ms; /* uptime; until then it waits for more; 0: not decided */
    unsigned look_count;     /* while it does: with so many, look whether all fit into a batch */
    struct waiting *ring;    /* of route->lane_ids: its next messages, without a gap */
    unsigned first, count;
    bool behind;     /* the queue may hold more for it, after `horizon` */
    bool feeding;    /* it ran low and is being filled */
    int64_t horizon; /* all its messages up to here are in the ring, or gone */
    int64_t kept_to; /* behind the horizon, the ring has some up to here (deliver/rescan.c) */
    struct suspect suspect;
    struct halves *halves; /* of a batch that failed; or NULL */
};

/* What people were told of a scope that is suspected. */
struct told {
    char *words;       /* of the last failure; NULL: none */
    int64_t at_ms;     /* uptime of the last line in the log */
    int64_t before_ms; /* uptime since when it was suspected before the last reload; 0: it was not */
};

struct route_state {
    const struct config_route *config;
    struct backend_state *backend;
    struct scope scope;
    struct told told;
    unsigned lane_ids;     /* how many a lane of it knows */
    size_t batch_bytes;    /* of a body; less than configured once the backend answered 413 */
    unsigned busy_lanes;   /* lanes that hold messages */
    unsigned unfit_in_row; /* set aside for their topics, with nothing delivered between */
    unsigned buried;       /* set aside since buried_since_ms: for a minute, then the log is told */
    int64_t buried_since_ms;
    unsigned condemned_in_row; /* those that an answer condemned */
    uint64_t condemned_lanes;  /* from which lanes: bit n for lane n */
    bool held;                 /* too many in a row: it is not the messages */
    bool html_seen;
    struct lane_map topics; /* which lane each has, where their order is kept */
    struct lane lanes[ROUTE_LANES];
};

TAILQ_HEAD(lane_line, lane);

struct backend_state {
    const struct config_backend *config;
    struct destination destination;
    struct told told;
    struct rate rate;
    struct transfer *transfer;
    struct lane_line line; /* lanes with work and no request under way, in turn */
    unsigned busy_lanes;
    bool isolated; /* the request under way must stay alone */
    bool pump_due;
    bool by_routes; /* it is suspected because several of its routes are */
};

/* A request under way. */
struct flight {
    struct deliver *deliver;
    struct lane *lane;
    unsigned backend_probe, route_probe; /* see scope_started */
    bool isolated;                       /* nothing else was on the connection */
    bool convicted;                      /* an earlier failure of this message, or batch, counts already */
    unsigned attempts;                   /* of the first message */
    size_t body_bytes;                   /* before it was compressed */
    struct queue_claim claim;
    bool may_come_again; /* see queue_settle */
    char *target;        /* of an HTTP client's message, or NULL; its query may hold a key */
    unsigned count;
    int64_t ids[]; /* the first ones of the lane, or a single one from behind them */
};

struct deliver {
    uv_loop_t *loop;
    uv_timer_t wake;          /* the next wait that is over */
    uv_timer_t settle;        /* when deletes get a commit of their own */
    uv_idle_t scan;           /* goes on reading the queue, a step each time the loop comes round */
    uv_check_t after_poll;    /* both: requests are started together, once the answers that */
    uv_prepare_t before_poll; /* came were acted upon; much faster than one by one */
    bool fresh;               /* copies were checked in this round */
    bool scan_failed;         /* to be tried again when wake fires */
    bool settle_failed;       /* the settle timer tries again */
    int64_t wake_at_ms;       /* INT64_MAX: wake is not set */
    struct queue *queue;
    const struct config *config;
    struct metrics *metrics;
    struct backend_state *backends;
    struct route_state *routes;
    int64_t frontier; /* lanes that are not behind have seen all up to here */
    int64_t tail;     /* and there is no message after this to be seen yet */
    unsigned copies;  /* in all rings */
    unsigned in_flight;
    struct request request; /* the one being made; its memory is used again */
    bool paused, to_end;
    int64_t end_id; /* the last message that must be confirmed then */
    deliver_idle_fn *idle;
    void *idle_context;
    int open_handles; /* the memory can go when none is */
};

/* ---- deliver/deliver.c ---- */
void deliver_wake_at(struct deliver *deliver, int64_t uptime_ms);
/* Has the queue read again. */
void deliver_feed(struct deliver *deliver);
void deliver_pump(struct deliver *deliver, struct backend_state *backend);
/* Puts a lane with work into its backend's line, at the end. */
void deliver_line_up(struct deliver *deliver, struct lane *lane);
/* Something was delivered: its delete is due within a second. */
void deliver_settled(struct deliver *deliver);
/* A request ended and was acted upon: goes on. */
void deliver_landed(struct deliver *deliver, struct lane *lane);

/* ---- deliver/send.c ---- */
/* How many messages the lane would send now; at least 1. */
unsigned deliver_send_most(const struct lane *lane);
/* Whether its next request must be the only one on its connection. */
bool deliver_must_isolate(const struct lane *lane);
/* Sends what is first in the lane. 0: a request is under way. -ENOMSG: what was first is
 * gone, the lane may have others. -EAGAIN: it lingers, and its batch can still grow.
 * Another error: the lane must wait for the storage. */
int deliver_send(struct deliver *deliver, struct lane *lane, bool lingers);
/* Of a request that will not be answered, or was acted upon: its messages are not
 * under way any more. For transfer_free. */
void deliver_flight_drop(void *flight);
/* The message is about to be blamed for more: then the queue is to know its first
 * failure too, which was kept in memory. */
void deliver_note_first(struct deliver *deliver, struct lane *lane, int64_t id);

/* ---- deliver/lanes.c ---- */
/* Reads one bounded step of the queue; returns 1 when there is more to read, 0
 * when not, or -Exxx. */
int deliver_lanes_step(struct deliver *deliver);
/* Whether the lane runs empty and the queue has more for it. */
bool deliver_lanes_hungry(const struct lane *lane);
/* Removes a message that was delivered, set aside or is gone; it is among the
 * ids of its lane. */
void deliver_lanes_remove(struct deliver *deliver, struct lane *lane, int64_t id);
/* Takes the copy of a waiting message, or NULL; the caller frees it. */
struct queue_copy *deliver_lanes_take_copy(struct deliver *deliver, struct waiting *waiting);
/* The nth message of the lane, from 0. */
struct waiting *deliver_lanes_at(const struct lane *lane, unsigned position);
void deliver_lanes_free(struct route_state *route);
void deliver_suspect_clear(struct suspect *suspect);

/* ---- deliver/response.c ---- */
void deliver_answer(struct flight *flight, const struct reply *reply);
/* Sets a message aside. Returns 0, or -Exxx when that must be tried again. */
int deliver_bury(struct deliver *deliver, struct lane *lane, int64_t id, unsigned attempts, int status,
                 const char *reason, const char *error);

#endif
