/* daemon/status.h - the status of a running daemon, as JSON. */
#ifndef SLUICE_DAEMON_STATUS_H
#define SLUICE_DAEMON_STATUS_H

#include "daemon/rates.h"
#include "deliver/deliver.h"
#include "http/edge.h"
#include "mqtt/edge.h"
#include "queue/queue.h"

/* Where the status comes from. */
struct daemon_status {
    const char *config_path;
    const struct config *first_config; /* of the start: its queue and broker are in use */
    int64_t kept_ms;                   /* as in daemon_run() */
    struct queue *queue;
    const struct mqtt *mqtt;
    const struct http *http;
    const struct deliver *deliver;
    const struct metrics *metrics;
    const struct metrics_minute *minute;
    int64_t started_ms; /* uptime */
    bool stopping;
};

/* The object "daemon" (text/status_fields.h) as text; the caller frees it. It reads no row of
 * the database, but the files of the configuration: whether the next start would accept them. */
char *daemon_status_json(const struct daemon_status *status);

/* Logs the totals, at the end. */
void daemon_status_log_totals(const struct metrics *metrics);

/* Takes a sample for last_minute. To be called about once a second. */
void daemon_status_sample(struct metrics_minute *minute, const struct metrics *metrics);

#endif
