/* daemon/internal.h - the daemon's own state; nobody else includes it.
 *
 *   daemon/daemon.c       builds the parts, wires them, shuts them down
 *   daemon/reload.c       puts a new configuration in force
 *   daemon/broker.c       the connection to the broker, if one is needed
 *   daemon/early.c        tries at once what is away when the network comes back
 *   daemon/recover.c      salvages a damaged queue while everything else goes on
 *   daemon/status.c       the status of a running daemon
 */
#ifndef SLUICE_DAEMON_INTERNAL_H
#define SLUICE_DAEMON_INTERNAL_H

#include "config/config.h"
#include "daemon/early.h"
#include "daemon/loop_time.h"
#include "daemon/rates.h"
#include "daemon/watchdog.h"
#include "daemon/wear.h"
#include "deliver/deliver.h"
#include "net/pace.h"
#include "queue/queue.h"

enum { RELOAD_MOST_MS = 1000 }; /* for requests in flight to end */

/* The recovery of a damaged queue. */
struct recovery {
    uv_prepare_t check; /* each time the loop comes round */
    uv_timer_t timer;   /* until the next step */
    bool active;
    unsigned tries;   /* in a row */
    int64_t ended_ms; /* uptime of the last one */
};

struct daemon {
    const char *config_path;
    struct config *first_config; /* its broker and queue stay in force */
    struct config *config;
    struct config *next_config; /* during a reload */
    struct queue *queue;
    struct clock_watch *clock;
    struct intake *intake;
    struct mqtt *mqtt; /* NULL: there is nothing to subscribe to */
    struct http *http;
    struct deliver *deliver;
    struct control *control;
    struct metrics metrics;
    struct metrics_minute minute;
    struct loop_time loop_time;
    struct watchdog watchdog;
    struct wear wear;
    struct recovery recovery;
    struct early early;
    int64_t started_ms; /* uptime */
    int64_t kept_ms;    /* wall clock: it started with a configuration that was kept then; 0: it did not */

    uv_loop_t loop;
    uv_signal_t terminate, interrupt, hangup;
    uv_timer_t deadline; /* of a stop or a reload */
    struct pace upkeep;  /* of the queue */
    int64_t status_ms;   /* uptime of the last report_status() */
    uint64_t activity;   /* at that time */
    uint64_t upkeep_activity;
    bool trim_due;
    bool reload_again; /* SIGHUP came during a reload */
    bool secrets_only; /* next_config differs in its secrets only */
    bool stopping;
};

#endif
