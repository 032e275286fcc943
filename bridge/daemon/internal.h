/* daemon/internal.h - what the files of the daemon share; nobody else includes it.
 *
 *   daemon/daemon.c         builds the parts, wires them, reloads, shuts them down
 *   daemon/recover.c    salvages a queue that is found to be damaged, while all goes on
 *   daemon/status.c  what it says of itself
 */
#ifndef SLUICE_DAEMON_PRIVATE_H
#define SLUICE_DAEMON_PRIVATE_H

#include "base/metrics.h"
#include "config/config.h"
#include "daemon/rates.h"
#include "db/vfs.h"
#include "deliver/deliver.h"
#include "queue/queue.h"
#include <uv.h>

enum { RELOAD_MOST_MS = 1000 }; /* for requests under way to end */

struct round {
    uint64_t at_ns;
    uint64_t idle_ns; /* since the start, waiting for events */
    int64_t run_delay_ns;
    int64_t commit_ms; /* since the start, in commits */
};

struct daemon {
    const char *config_path;
    struct config *first_config; /* its broker and queue stay in force */
    struct config *config;
    struct config *next_config; /* a reload is under way */
    struct queue *queue;
    struct clock_watch *clock;
    struct intake *intake;
    struct mqtt *mqtt; /* NULL: there is nothing to subscribe to */
    struct intake_http *http;
    struct deliver *deliver;
    struct control *control;
    struct metrics metrics;
    struct metrics_minute minute;
    int64_t started_ms; /* uptime */

    uv_loop_t loop;
    uv_signal_t terminate, interrupt, hangup;
    uv_timer_t deadline; /* of a stop or a reload */
    uv_timer_t watchdog;
    uv_timer_t status;
    uv_timer_t upkeep; /* of the queue */
    uv_timer_t wear;
    uv_timer_t mend;    /* the queue is damaged */
    uv_prepare_t round; /* each time the loop comes round */
    uint64_t activity;  /* at the last look */
    uint64_t upkeep_activity;
    bool trim_due;
    struct round last_round;
    struct db_wear last_wear; /* when it was last in the log */
    uint64_t last_stored;
    bool mending;      /* it is to be salvaged, or that is tried again */
    unsigned mends;    /* in a row */
    int64_t mended_ms; /* uptime of the last */
    bool reload_again; /* SIGHUP came during a reload */
    bool stopping;
};

/* ---- daemon/daemon.c ---- */
/* What was just done is no stall of the loop. */
void daemon_forget_round(struct daemon *daemon);

/* ---- daemon/recover.c ---- */
/* Begins to mend the queue, if that is due. */
void daemon_look_for_damage(struct daemon *daemon);

#endif
