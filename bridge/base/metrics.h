/* base/metrics.h - counters of one process, since its start. daemon/daemon.c owns them; every
 * part counts its own events. */
#ifndef SLUICE_METRICS_H
#define SLUICE_METRICS_H

#include "base/base.h"

struct metrics {
    uint64_t received;           /* PUBLISH packets, acknowledged or about to be */
    uint64_t stored;             /* rows committed: one per message and route */
    uint64_t dropped;            /* messages that were not stored (when_full), one per route */
    uint64_t unrouted;           /* received, but no route takes it */
    uint64_t excepted;           /* received, but the routes that match leave it out (except) */
    uint64_t retained;           /* received, but no route takes retained messages */
    uint64_t readings_again;     /* repetitions, which were not stored (ack_topic) */
    uint64_t readings_lost;      /* dropped by devices */
    uint64_t readings_malformed; /* stored as ordinary messages */
    uint64_t acks;               /* sent to devices */
    uint64_t commits;            /* durable commits */
    uint64_t commit_failures;
    uint64_t delivered;
    uint64_t repaired;        /* of these: no JSON before (repair) */
    uint64_t ignored;         /* neither delivered nor dead-lettered (not_object) */
    uint64_t dead;            /* dead-lettered */
    uint64_t requests;        /* started */
    int64_t longest_stall_ms; /* one pass through the loop's callbacks, without commits */
    int64_t longest_commit_ms;
    int64_t longest_lock_ms; /* intake waited for the database's lock */
    int64_t commit_ms;       /* duration of all commits */
};

#endif
