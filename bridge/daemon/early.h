/* daemon/early.h - something changed that may have ended an outage: the network came back, or the clock
 * was set. What is away is tried at once, and not at the end of its pause. */
#ifndef SLUICE_DAEMON_EARLY_H
#define SLUICE_DAEMON_EARLY_H

#include "base/base.h"
#include "net/network.h"

struct daemon;

/* A network that comes and goes must not become a storm of requests: at most EARLY_MOST trials in
 * EARLY_SPAN_MS. A network often comes back in steps, so several may follow one another at once. */
enum { EARLY_MOST = 3, EARLY_SPAN_MS = 30 * 1000, EARLY_REPEATS = 2 };

struct early_limit {
    int64_t made_ms[EARLY_MOST]; /* uptimes of the last trials; 0: none */
    unsigned oldest;
};

/* How long the next trial must wait. Pure. */
int64_t early_wait_ms(const struct early_limit *limit, int64_t now_ms);
void early_made(struct early_limit *limit, int64_t now_ms);

/* The daemon's. */
struct early {
    struct network *network;
    uv_timer_t timer; /* until a trial is allowed */
    uv_timer_t again; /* until one is repeated, after a change of the network */
    unsigned repeat;  /* how many were */
    char *why;
    struct early_limit limit;
};

void early_start(struct daemon *daemon);
/* why: for the log. */
void early_try(struct daemon *daemon, const char *why);
/* Closes its handles. */
void early_stop(struct daemon *daemon);

#endif
