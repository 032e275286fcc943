/* daemon/status.c - what a running daemon says of itself. Only what it alone knows:
 * what is in the queue, those who ask count themselves (queue/admin/facts.c). */
#include "daemon/status.h"
#include "base/clock.h"
#include "db/vfs.h"

#include <unistd.h>

static struct metrics_sample sample(const struct metrics *metrics)
{
    struct db_wear wear = db_wear();
    return (struct metrics_sample){.at_ms = clock_uptime_ms(),
                                   .stored = metrics->stored,
                                   .delivered = metrics->delivered,
                                   .syncs = wear.syncs,
                                   .sync_us = wear.sync_us};
}

void daemon_status_sample(struct metrics_minute *minute, const struct metrics *metrics)
{
    struct metrics_sample now = sample(metrics);
    metrics_minute_note(minute, &now);
}

static void add_rates(const struct daemon_status *status, struct report *to)
{
    struct metrics_sample now = sample(status->metrics);
    struct metrics_sample since = metrics_minute_since(status->minute, &now);
    report_add_number(to, "seconds", since.at_ms / 1000);
    report_add_number(to, "stored", (int64_t)since.stored);
    report_add_number(to, "delivered", (int64_t)since.delivered);
    report_add_number(to, "fsyncs", (int64_t)since.syncs);
    if (since.syncs > 0)
        report_add_fraction(to, "fsync_ms", (double)(since.sync_us / since.syncs) / 1000);
}

static void add_totals(const struct daemon_status *status, struct report *to)
{
    const struct metrics *metrics = status->metrics;
    struct db_wear wear = db_wear();
    report_add_number(to, "received", (int64_t)metrics->received);
    report_add_number(to, "stored", (int64_t)metrics->stored);
    report_add_number(to, "delivered", (int64_t)metrics->delivered);
    report_add_number(to, "set_aside", (int64_t)metrics->dead);
    report_add_number(to, "dropped", (int64_t)queue_dropped(status->queue) + (int64_t)metrics->dropped);
    report_add_number(to, "unrouted", (int64_t)metrics->unrouted);
    report_add_number(to, "retained", (int64_t)metrics->retained);
    report_add_number(to, "readings_again", (int64_t)metrics->readings_again);
    report_add_number(to, "readings_lost", (int64_t)metrics->readings_lost);
    report_add_number(to, "readings_malformed", (int64_t)metrics->readings_malformed);
    report_add_number(to, "acks", (int64_t)metrics->acks);
    report_add_number(to, "requests", (int64_t)metrics->requests);
    report_add_number(to, "fsyncs", (int64_t)wear.syncs);
    report_add_number(to, "bytes_written", (int64_t)wear.bytes_written);
    report_add_fraction(to, "longest_fsync_ms", (double)wear.longest_sync_us / 1000);
    report_add_number(to, "longest_commit_ms", metrics->longest_commit_ms);
    report_add_number(to, "longest_stall_ms", metrics->longest_stall_ms);
    report_add_number(to, "longest_lock_ms", metrics->longest_lock_ms);
}

static void add_queue(const struct daemon_status *status, struct report *to)
{
    const char *full = queue_full(status->queue);
    cleanup_free char *words = full ? queue_full_text(status->queue) : NULL;
    cleanup_free char *room = queue_room_text(status->queue);
    int64_t waiting = queue_waiting(status->queue);
    report_add_text(to, "path", status->config->queue.path);
    if (waiting >= 0)
        report_add_number(to, "waiting", waiting);
    report_add_text(to, "full", words);
    report_add_text(to, "room", room);
}

static void add_clock(const struct daemon_status *status, struct report *to)
{
    static const char *const words[] = {[CLOCK_SYNCHRONISED] = "synchronised",
                                        [CLOCK_UNFLAGGED] = "synchronised",
                                        [CLOCK_UNSYNCHRONISED] = "unsynchronised",
                                        [CLOCK_DENIED] = "cannot be asked"};
    report_add_truth(to, "right", queue_clock_is_right(status->queue));
    report_add_text(to, "kernel", words[clock_ask()]);
    report_add_truth(to, "trusted", status->config->queue.trust_clock);
}

struct report *daemon_status_report(const struct daemon_status *status)
{
    struct report *report = report_new();
    int64_t up_ms = clock_uptime_ms() - status->started_ms;
    report_add_text(report, "version", SLUICE_VERSION);
    report_add_number(report, "pid", getpid());
    report_add_text(report, "state", status->stopping ? "stopping" : "running");
    report_add_time(report, "since", clock_wall_ms() - up_ms);
    report_add_number(report, "seconds", up_ms / 1000);
    report_add_text(report, "configuration", status->config_path);
    if (status->mqtt)
        intake_mqtt_describe(status->mqtt, report_add_object(report, "broker"));
    intake_http_describe(status->http, report_add_array(report, "http"));
    deliver_describe(status->deliver, report_add_array(report, "backends"),
                     report_add_array(report, "routes"));
    add_queue(status, report_add_object(report, "queue"));
    add_rates(status, report_add_object(report, "last_minute"));
    add_totals(status, report_add_object(report, "since_start"));
    add_clock(status, report_add_object(report, "clock"));
    return report;
}
