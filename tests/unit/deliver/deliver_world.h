/* deliver_world.h - a world for the engine: backends that respond as a scenario wants it,
 * and a model that watches what the engine does.
 *
 *   deliver_world.c   time, the fake network (net/transfer.h), what happens when
 *   deliver_rules.c   the model: what must hold whenever a request starts or ends
 *
 * The engine, the queue and libuv's loop are real. Time is not: clock_gettime() is the
 * world's own, and steps to whatever is next, so hours pass in milliseconds and a
 * seed always tells the same story. There is one world at a time.
 */
#ifndef SLUICE_DELIVER_WORLD_H
#define SLUICE_DELIVER_WORLD_H

#include "unit.h"

#include "config/config.h"
#include "deliver/deliver.h"
#include "net/transfer.h"
#include <sqlite3.h>
#include <sys/queue.h>

enum {
    BACKENDS_MOST = 3,
    ROUTES_MOST = 4,
    MESSAGES_MOST = 2048,
    OUTAGES_MOST = 4,
    CONFIGS_MOST = 4,
    LANES = 64
};

/* What a message does to a request that it is in, where that is not the status of a
 * rejection. */
enum { POISON_NONE = 0, POISON_BREAKS = -1, POISON_HANGS = -2 };

enum fate { COMING, WAITING, DELIVERED, DEAD, REMOVED };

/* A message; what the model knows of it is below the blank line. */
struct world_message {
    unsigned route;
    unsigned key; /* the number of its topic */
    char topic[16];
    int poison;       /* a status, or one of the above */
    bool unfit;       /* can never be sent */
    bool object;      /* its payload is a JSON object */
    unsigned padding; /* bytes of its payload */
    int64_t at_ms;    /* when it arrives */

    enum fate fate;
    int64_t returned_ms; /* when a person retried it as a dead letter */
    int64_t delivered_ms;
    bool in_flight;
    bool deferred;     /* as the queue has it */
    bool passed_by;    /* meanwhile one came back, which may stand before it now */
    bool failed;       /* alone or in a batch, since the last restart */
    bool broke;        /* its last request broke, maybe by another's fault */
    bool owed;         /* failed alone, and nothing passed in its backend since */
    unsigned counted;  /* such failures after which something did pass */
    bool accused;      /* failed, alone or in a batch, and nothing passed in its backend since */
    bool struck;       /* so it was, and then something did pass */
    bool later;        /* the last response to it alone was 409 */
    int last_rejected; /* the status, where the last response to it alone was a rejection */
};

struct response {
    enum transfer_failure failure;
    int status;
    unsigned retry_after_s;
};

struct outage {
    int64_t from_ms, to_ms;
    int route; /* -1: the whole backend */
    bool hangs;
    struct response response;
};

/* What is known of a backend or a route in which requests failed. */
struct doubt {
    bool maybe;       /* something failed since the last pass */
    bool counts;      /* ... and it was this, for certain, that was suspected for it */
    bool began;       /* something failed since the last pass or acquittal ... */
    int64_t since_ms; /* ... for the first time then */
    unsigned burst;   /* requests since then that started sooner than a wait after the one before */
    int64_t last_ms;  /* when the last one started */
};

struct world_backend {
    unsigned http_version;
    size_t body_most;
    unsigned noise_percent; /* of responses, until noise_to_ms */
    int64_t noise_to_ms;
    int64_t slow_ms; /* responses take up to this long */
    struct outage outages[OUTAGES_MOST];
    unsigned outage_count;

    unsigned known_version, in_flight;
    unsigned most_limit; /* of all versions that were known */
    unsigned opened;     /* how far, at most */
    bool isolated;       /* the request in flight must be the only one */
    unsigned deferred_in_flight;
    double tokens;
    int64_t tokens_ms;
    struct doubt doubt;
};

struct world_route {
    bool in_flight[LANES];
    unsigned rejected;       /* in a row, with nothing delivered between */
    uint64_t rejected_lanes; /* bits */
    struct doubt doubt;
};

/* A request in flight. */
struct call {
    TAILQ_ENTRY(call) others;
    transfer_done_fn *done;
    void *context;
    unsigned backend, route, lane;
    unsigned count;
    unsigned *members;
    size_t body_bytes;
    int64_t started_ms, due_ms;
    uint64_t number;
    bool hung, isolated, deferred, overtakes;
};

TAILQ_HEAD(calls, call);

struct world {
    uint64_t seed, random;
    int64_t now_ms; /* since it began */
    uv_loop_t loop;
    struct queue *queue;
    sqlite3 *eye; /* how a person sees the queue */
    struct deliver *engine;
    struct metrics metrics;
    struct config *configs[CONFIGS_MOST]; /* one after the other */
    int64_t restart_ms[CONFIGS_MOST];
    unsigned config_count, config;
    struct world_backend backends[BACKENDS_MOST];
    struct world_route routes[ROUTES_MOST];
    struct world_message messages[MESSAGES_MOST]; /* the nth has the id n + 1 */
    unsigned message_count, arrived;
    int64_t remove_ms; /* a person removes a message then; 0: nobody does */
    int64_t return_ms; /* a person brings a dead letter back then, and again later; 0: nobody does */
    unsigned returned;
    void (*heard)(const char *level, const char *line); /* called with each log line; or NULL */
    bool strict; /* whatever fails is an outage: nothing good may be dead-lettered */
    struct calls calls;
    bool ended; /* the engine stopped */
    uint64_t started;
    unsigned largest_lanes;      /* of the largest number of lanes in one request */
    unsigned delivered, largest; /* requests that passed; messages in the largest request */
};

extern struct world world;

/* ---- deliver_world.c ---- */
unsigned world_chance(unsigned below);
/* An empty world; the scenario fills in backends and messages, and adds configurations. */
void world_begin(uint64_t seed);
/* The configuration that is in force from then on. */
void world_configure(const char *text, int64_t at_ms);
/* Appends a message; those of earlier times come first. */
struct world_message *world_add(unsigned route, unsigned topic, int64_t at_ms);
/* Starts the engine, and lets everything happen until is_over. */
void world_run(bool (*is_over)(void), int64_t most_ms);
/* Lets more happen, until then. */
void world_resume(bool (*is_over)(void), int64_t most_ms);
/* Stops the engine as daemon/daemon.c does, compares what is left, and frees everything. */
void world_end(void);
const struct config *world_config(void);
void world_fail(const char *format, ...) PRINTF_LIKE(1, 2);

/* ---- deliver_rules.c ---- */
void rules_start(struct call *call);
void rules_end(const struct call *call, const struct response *response);
/* After the engine acted upon it. */
void rules_acted(const struct call *call, const struct response *response);
/* The engine forgets what was in flight, and all suspicions. */
void rules_restart(void);
/* A person brought one back, with its fault corrected or not. */
void rules_returned(struct world_message *message);
/* Learns who is dead, and whether that was just. */
void rules_look(void);

#endif
