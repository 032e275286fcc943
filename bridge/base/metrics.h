/* base/metrics.h - counters of one process, since its start. Owned by daemon/daemon.c,
 * counted where things happen, read where they are shown. */
#ifndef SLUICE_METRICS_H
#define SLUICE_METRICS_H

#include "base/base.h"

struct metrics {
    uint64_t received;           /* PUBLISH packets that were acknowledged or will be */
    uint64_t stored;             /* rows committed: one per message and route */
    uint64_t dropped;            /* messages that came and were not stored (when_full), one per route */
    uint64_t unrouted;           /* received, and no route wanted it */
    uint64_t retained;           /* received, retained, and no route wants retained ones */
    uint64_t readings_again;     /* came again, and were not stored again (ack_topic) */
    uint64_t readings_lost;      /* devices had to drop them */
    uint64_t readings_malformed; /* stored as ordinary messages */
    uint64_t acks;               /* sent to devices */
    uint64_t commits;            /* durable commits */
    uint64_t commit_failures;
    uint64_t delivered;
    uint64_t dead;            /* set aside as dead letters */
    uint64_t requests;        /* started */
    int64_t longest_stall_ms; /* one pass through the loop's callbacks, commits excluded */
    int64_t longest_commit_ms;
    int64_t longest_lock_ms; /* intake waited for the database's lock */
    int64_t commit_ms;       /* spent in commits, in all */
};

#endif
