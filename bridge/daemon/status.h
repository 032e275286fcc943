/* daemon/status.h - what a running daemon says of itself, as one report. */
#ifndef SLUICE_DAEMON_STATUS_H
#define SLUICE_DAEMON_STATUS_H

#include "daemon/rates.h"
#include "deliver/deliver.h"
#include "http/edge.h"
#include "mqtt/edge.h"
#include "queue/queue.h"
#include "text/report.h"

/* The parts that are asked. */
struct daemon_status {
    const char *config_path;
    const struct config *config;
    struct queue *queue;
    const struct intake_mqtt *mqtt;
    const struct intake_http *http;
    const struct deliver *deliver;
    const struct metrics *metrics;
    const struct metrics_minute *minute;
    int64_t started_ms; /* uptime */
    bool stopping;
};

/* To be freed. Costs little: no row is looked at. */
struct report *daemon_status_report(const struct daemon_status *status);

/* For daemon.minute, about once a second. */
void daemon_status_sample(struct metrics_minute *minute, const struct metrics *metrics);

#endif
