/* daemon/status.c - see daemon/status.h. It has what only the daemon knows: the client counts
 * the rows of the queue itself (queue/admin/facts.c). */
#include "daemon/status.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/file.h"
#include "daemon/descriptors.h"
#include "daemon/wear.h"
#include "db/vfs.h"
#include "mqtt/status.h"
#include "text/status.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
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

static void add_rates(const struct daemon_status *status, cJSON *to)
{
    struct metrics_sample now = sample(status->metrics);
    struct metrics_sample since = metrics_minute_since(status->minute, &now);
    status_add_number(to, STATUS_MINUTE_SECONDS, since.at_ms / 1000);
    status_add_number(to, STATUS_MINUTE_STORED, (int64_t)since.stored);
    status_add_number(to, STATUS_MINUTE_DELIVERED, (int64_t)since.delivered);
    status_add_number(to, STATUS_MINUTE_FSYNCS, (int64_t)since.syncs);
    if (since.syncs > 0)
        status_add_fraction(to, STATUS_MINUTE_FSYNC_MS, (double)(since.sync_us / since.syncs) / 1000);
}

static void add_totals(const struct daemon_status *status, cJSON *to)
{
    const struct metrics *metrics = status->metrics;
    struct db_wear wear = db_wear();
    status_add_number(to, STATUS_RECEIVED, (int64_t)metrics->received);
    status_add_number(to, STATUS_STORED, (int64_t)metrics->stored);
    status_add_number(to, STATUS_DELIVERED, (int64_t)metrics->delivered);
    status_add_number(to, STATUS_DEAD_LETTERED, (int64_t)metrics->dead);
    status_add_number(to, STATUS_REPAIRED, (int64_t)metrics->repaired);
    status_add_number(to, STATUS_IGNORED, (int64_t)metrics->ignored);
    status_add_number(to, STATUS_DROPPED, (int64_t)queue_dropped(status->queue) + (int64_t)metrics->dropped);
    status_add_number(to, STATUS_UNROUTED, (int64_t)metrics->unrouted);
    status_add_number(to, STATUS_EXCEPTED, (int64_t)metrics->excepted);
    status_add_number(to, STATUS_RETAINED, (int64_t)metrics->retained);
    status_add_number(to, STATUS_READINGS_AGAIN, (int64_t)metrics->readings_again);
    status_add_number(to, STATUS_READINGS_LOST, (int64_t)metrics->readings_lost);
    status_add_number(to, STATUS_READINGS_MALFORMED, (int64_t)metrics->readings_malformed);
    status_add_number(to, STATUS_ACKS, (int64_t)metrics->acks);
    status_add_number(to, STATUS_REQUESTS, (int64_t)metrics->requests);
    status_add_number(to, STATUS_FSYNCS, (int64_t)wear.syncs);
    status_add_number(to, STATUS_BYTES_WRITTEN, (int64_t)wear.bytes_written);
    status_add_fraction(to, STATUS_LONGEST_FSYNC_MS, (double)wear.longest_sync_us / 1000);
    status_add_number(to, STATUS_LONGEST_COMMIT_MS, metrics->longest_commit_ms);
    status_add_number(to, STATUS_LONGEST_STALL_MS, metrics->longest_stall_ms);
    status_add_number(to, STATUS_LONGEST_LOCK_MS, metrics->longest_lock_ms);
}

static void add_problem(void *context, const char *name, int64_t since_ms, const char *description)
{
    cJSON *problem = status_append(context);
    status_add_text(problem, STATUS_PROBLEM_NAME, name);
    status_add_time(problem, STATUS_PROBLEM_SINCE, since_ms);
    status_add_text(problem, STATUS_PROBLEM_DESCRIPTION, description);
}

static void add_queue(const struct daemon_status *status, cJSON *to)
{
    const char *full = queue_full(status->queue);
    cleanup_free char *limit = full ? queue_full_text(status->queue) : NULL;
    cleanup_free char *room = queue_room_text(status->queue);
    int64_t waiting = queue_waiting(status->queue);
    status_add_text(to, STATUS_DAEMON_QUEUE_PATH, status->first_config->queue.path);
    if (waiting >= 0)
        status_add_number(to, STATUS_DAEMON_QUEUE_WAITING, waiting);
    status_add_text(to, STATUS_DAEMON_QUEUE_FULL, limit);
    status_add_text(to, STATUS_DAEMON_QUEUE_ROOM, room);
    queue_problems_each(status->queue, add_problem, status_add_list(to, STATUS_DAEMON_PROBLEMS));
}

static void add_clock(const struct daemon_status *status, cJSON *to)
{
    static const char *const states[] = {[CLOCK_SYNCHRONISED] = "synchronised",
                                         [CLOCK_UNFLAGGED] = "synchronised",
                                         [CLOCK_UNSYNCHRONISED] = "unsynchronised",
                                         [CLOCK_DENIED] = "cannot be asked"};
    status_add_bool(to, STATUS_CLOCK_RIGHT, queue_clock_is_right(status->queue));
    status_add_text(to, STATUS_CLOCK_KERNEL, states[clock_kernel_state()]);
    status_add_bool(to, STATUS_CLOCK_TRUSTED, status->first_config->queue.trust_clock);
}

static void add_configuration(const struct daemon_status *status, cJSON *to)
{
    struct config_errors errors = {0};
    cleanup_free char *path = realpath(status->config_path, NULL);
    struct config *next =
        descriptors_check(config_file_look(status->config_path, &errors), status->config_path, &errors);
    cleanup_free char *keys = next ? config_restart_keys(status->first_config, next) : NULL;
    status_add_text(to, STATUS_CONFIGURATION, path ? path : status->config_path);
    status_add_number(to, STATUS_CONFIGURATION_ERRORS, (int64_t)errors.count);
    status_add_text(to, STATUS_CONFIGURATION_ERROR, errors.count > 0 ? errors.lines[0] : NULL);
    status_add_text(to, STATUS_CONFIGURATION_RESTART, keys);
    status_add_time(to, STATUS_CONFIGURATION_KEPT, status->kept_ms);
    config_free(next);
    config_errors_done(&errors);
}

char *daemon_status_json(const struct daemon_status *status)
{
    cJSON *json = cJSON_CreateObject();
    int64_t up_ms = clock_uptime_ms() - status->started_ms;
    status_add_text(json, STATUS_VERSION, SLUICE_VERSION);
    status_add_number(json, STATUS_PID, getpid());
    status_add_text(json, STATUS_DAEMON_STATE, status->stopping ? "stopping" : "running");
    status_add_time(json, STATUS_DAEMON_SINCE, clock_wall_ms() - up_ms);
    status_add_number(json, STATUS_DAEMON_SECONDS, up_ms / 1000);
    add_configuration(status, json);
    if (status->mqtt)
        mqtt_describe(status->mqtt, status_add_object(json, STATUS_BROKER));
    http_describe(status->http, status_add_list(json, STATUS_HTTP));
    deliver_describe(status->deliver, status_add_list(json, STATUS_BACKENDS),
                     status_add_list(json, STATUS_ROUTES));
    add_queue(status, status_add_object(json, STATUS_DAEMON_QUEUE));
    add_rates(status, status_add_object(json, STATUS_LAST_MINUTE));
    add_totals(status, status_add_object(json, STATUS_SINCE_START));
    add_clock(status, status_add_object(json, STATUS_CLOCK));
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

static void add_total(struct buf *to, uint64_t messages, const char *what)
{
    if (messages > 0)
        buf_printf(to, "; %" PRIu64 " %s", messages, what);
}

void daemon_status_log_totals(const struct metrics *metrics)
{
    const struct metrics *m = metrics;
    cleanup_free char *wear = wear_text(m->stored);
    cleanup_free char *readings =
        m->acks > 0 || m->readings_lost > 0
            ? xasprintf("; readings: %" PRIu64 " acknowledgements, %" PRIu64 " came again, %" PRIu64 " lost",
                        m->acks, m->readings_again, m->readings_lost)
            : xstrdup("");
    struct buf more cleanup_buf;
    buf_init(&more, 200);
    add_total(&more, m->excepted, "left out by except");
    add_total(&more, m->ignored, "ignored");
    add_total(&more, m->repaired, "repaired");
    log_repetitions(true);
    log_notice(EVENT_STOPPED,
               "received %" PRIu64 ", stored %" PRIu64 ", delivered %" PRIu64 ", dead-lettered %" PRIu64
               "; longest stall %" PRId64 " ms, longest commit %" PRId64 " ms; %s%s%s",
               m->received, m->stored, m->delivered, m->dead, m->longest_stall_ms, m->longest_commit_ms, wear,
               readings, buf_text(&more));
}
