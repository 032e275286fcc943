/* deliver/internal.h - the structs that the files of the engine share.
 *
 * Each file calls only those below it:
 *
 *   deliver.c      schedules: which lane sends next, and when; timers, start and stop
 *   response.c     classifies a response, and acts on it
 *   blame.c        decides who is to blame for a failure: a backend, a route or a message
 *   send.c         makes a lane's request, of one message or of a batch
 *   dead_letter.c  moves a message to the dead letters
 *   settle.c       deletes what was delivered, and reports when the engine is idle
 *   announce.c     logs that a backend or a route fails, and that it works again
 *   lanes.c        changes lanes: which messages wait in which, a window over the queue
 *   suspect.c      what is held against the first message of a lane
 *   line.c         the lanes that wait for their turn, and the timer that wakes them
 *
 * Beside them, without calls of each other except to scope.c: verdict.c, destination.c,
 * bisect.c, lane_map.c and rate.c, which are pure.
 */
#ifndef SLUICE_DELIVER_INTERNAL_H
#define SLUICE_DELIVER_INTERNAL_H

#include "base/metrics.h"
#include "config/config.h"
#include "config/route_table.h"
#include "deliver/bisect.h"
#include "deliver/destination.h"
#include "deliver/lane_map.h"
#include "deliver/rate.h"
#include "deliver/verdict.h"
#include "net/transfer.h"
#include "queue/queue.h"
#include <sys/queue.h>
#include <uv.h>

#define ROUTE_LANES 64u

struct failure {
    int status;      /* 0: there was no response */
    char *reason;    /* without secrets; NULL: there is no failure */
    int64_t wall_ms; /* when */
};

/* See deliver/suspect.h. */
struct suspect {
    int64_t id;                /* 0: nobody */
    unsigned attempts;         /* failures that count */
    bool owed;                 /* the last failure does not count yet */
    const struct scope *scope; /* where the last failure was */
    uint64_t passes;           /* scope->passes then */
    bool isolate;              /* the connection broke under it and others: which of them was it? */
    unsigned unrelieved;       /* failures in a row while nothing at all passed in the scope */
    struct failure last;
    struct failure first; /* the first one that counted, until the queue knows it */
};

/* A message that waits in a lane. */
struct waiting {
    int64_t id;
    struct queue_copy *copy; /* or NULL */
};

/* A lane's next messages; one of them alone, or the first ones as a batch, may be
 * in flight. */
struct lane {
    struct route_state *route;
    TAILQ_ENTRY(lane) line; /* in its backend's line, while it waits for its turn */
    bool in_line;
    bool in_flight;
    int64_t not_before_ms;   /* uptime; its first message is tried again later */
    int64_t linger_until_ms; /* uptime; until then it waits for more; 0: not decided */
    unsigned look_count;     /* while it lingers: with this many, check whether all fit into a batch */
    struct waiting *ring;    /* of route->lane_ids: its next messages, without a gap */
    unsigned first, count;
    bool behind;     /* the queue may hold more for it, after `horizon` */
    bool feeding;    /* it ran low and is being filled */
    int64_t horizon; /* all its messages up to here are in the ring, or gone */
    int64_t kept_to; /* after the horizon, the ring has some up to here (see lanes_forget) */
    struct suspect suspect;
    struct halves *halves; /* of a batch that failed; or NULL */
};

/* What was logged of a scope that is suspected. */
struct announced {
    char *reason;      /* of the last failure; NULL: none */
    int64_t logged_ms; /* uptime of the last line in the log */
    int64_t before_ms; /* uptime since when it was suspected before the last reload; 0: it was not */
};

struct route_state {
    const struct config_route *config;
    struct backend_state *backend;
    struct scope scope;
    struct announced announced;
    unsigned lane_ids;        /* how many a lane of it knows */
    size_t batch_bytes;       /* of a body; less than configured once the backend answered 413 */
    unsigned busy_lanes;      /* lanes that hold messages */
    unsigned unfit_in_row;    /* dead-lettered for their topics or bodies, none delivered between */
    unsigned dead_in_minute;  /* dead-lettered since minute_ms */
    int64_t minute_ms;        /* uptime */
    unsigned rejected_in_row; /* dead-lettered for what the backend responded, none delivered between */
    uint64_t rejected_lanes;  /* from which lanes: bit n for lane n */
    bool held;                /* too many rejected in a row: the messages are not to blame */
    bool html_seen;
    struct lane_map topics; /* which lane each has, where their order is kept */
    struct lane lanes[ROUTE_LANES];
};

TAILQ_HEAD(lane_line, lane);

struct backend_state {
    const struct config_backend *config;
    struct destination destination;
    struct announced announced;
    struct rate rate;
    struct transfer *transfer;
    struct lane_line line; /* lanes with work and no request in flight, in turn */
    unsigned busy_lanes;
    bool isolated; /* the request in flight must stay alone */
    bool pump_due;
    bool by_routes; /* it is suspected because several of its routes are */
};

/* A request in flight. */
struct flight {
    struct deliver *deliver;
    struct lane *lane;
    unsigned backend_probe, route_probe; /* see scope_started */
    bool isolated;                       /* nothing else was on the connection */
    bool blamed;                         /* an earlier failure of this message, or batch, counts already */
    unsigned attempts;                   /* of the first message */
    size_t body_bytes;                   /* before it was compressed */
    struct queue_claim claim;
    bool may_come_again; /* see queue_settle */
    char *target;        /* of an HTTP client's message, or NULL; its query may hold a key */
    unsigned count;
    int64_t ids[]; /* the first ones of the lane, or a single later one */
};

/* A request that ended. */
struct outcome {
    struct flight *flight;
    const struct reply *reply;
    enum verdict verdict;
    int64_t now_ms;
    char *reason; /* "503: Service Unavailable", without secrets; NULL when it was delivered */
};

struct deliver {
    uv_loop_t *loop;
    uv_timer_t wake; /* the next wait that is over */
    uv_timer_cb on_wake;
    uv_timer_t settle;        /* when deletes get a commit of their own */
    uv_idle_t scan;           /* goes on reading the queue, a step each time the loop comes round */
    uv_check_t after_poll;    /* both: requests are started together, after all responses that came */
    uv_prepare_t before_poll; /* were acted on; much faster than one by one */
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
    void (*idle)(void *context);
    void *idle_context;
    int open_handles; /* the memory can go when none is */
};

/* The nth message of the lane, from 0. */
static inline struct waiting *lane_at(const struct lane *lane, unsigned position)
{
    return &lane->ring[(lane->first + position) % lane->route->lane_ids];
}

/* The database is locked: someone else writes. Otherwise the storage fails. */
static inline int64_t storage_retry_ms(int error)
{
    return error == -EBUSY ? 50 : 5000;
}

#endif
