/* daemon/daemon.c - builds the parts, wires them, and stops them in order.
 *
 *     start:  queue → deliver → intake → MQTT edge, HTTP edge → control socket → READY
 *     stop:   control socket → deliver (requests in flight may end) → HTTP edge, MQTT edge → queue
 *
 * One thread, one loop. A stop takes less than STOP_MOST_MS, whatever hangs: a message that
 * is not acknowledged or not delivered then is still at the broker or in the queue, and comes
 * again. A reload waits until no request is in flight, so that it does not send a message
 * twice, but at most RELOAD_MOST_MS.
 */
#include "daemon/daemon.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "control/control.h"
#include "daemon/broker.h"
#include "daemon/clock_watch.h"
#include "daemon/descriptors.h"
#include "daemon/internal.h"
#include "daemon/kept_config.h"
#include "daemon/notify.h"
#include "daemon/recover.h"
#include "daemon/reload.h"
#include "daemon/status.h"
#include "deliver/deliver.h"
#include "http/edge.h"
#include "intake/intake.h"
#include "mqtt/edge.h"
#include "queue/confirm.h"
#include "queue/queue.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum {
    STOP_MOST_MS = 3000,
    STATUS_EVERY_MS = 10000,
    STATUS_QUIET = 100, /* fewer messages and requests than this in the time: idle */
    UPKEEP_QUIET = 10,
    OPEN_TRIES = 20,
    OPEN_WAIT_MS = 100,
};

/* ---- stopping ---- */

/* No request is in flight, or there is no time left. */
static void finish(void *context)
{
    struct daemon *daemon = context;
    http_free(daemon->http);
    bool clean = !daemon->mqtt || mqtt_stop(daemon->mqtt);
    if (!clean) {
        /* A worker thread hangs in a connect; joining it could take minutes. */
        queue_close(daemon->queue);
        daemon_status_log_totals(&daemon->metrics);
        _exit(0);
    }
    mqtt_free(daemon->mqtt);
    deliver_free(daemon->deliver);
    clock_watch_free(daemon->clock);
    early_stop(daemon);
    uv_handle_t *const handles[] = {
        (uv_handle_t *)&daemon->terminate,       (uv_handle_t *)&daemon->interrupt,
        (uv_handle_t *)&daemon->hangup,          (uv_handle_t *)&daemon->deadline,
        (uv_handle_t *)&daemon->watchdog.timer,  (uv_handle_t *)&daemon->upkeep.timer,
        (uv_handle_t *)&daemon->loop_time.round, (uv_handle_t *)&daemon->wear.timer,
        (uv_handle_t *)&daemon->recovery.check,  (uv_handle_t *)&daemon->recovery.timer,
    };
    for (size_t i = 0; i < ARRAY_LEN(handles); i++)
        if (!uv_is_closing(handles[i]))
            uv_close(handles[i], NULL);
}

static void on_stop_deadline(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    log_info(EVENT_STOPPING, "requests in flight are abandoned; they are sent again at the next start");
    finish(daemon);
}

static void on_terminate(uv_signal_t *signal, int number)
{
    struct daemon *daemon = signal->data;
    loop_time_skip_round(&daemon->loop_time);
    if (daemon->stopping)
        return;
    daemon->stopping = true;
    log_notice(EVENT_STOPPING, "%s", number == SIGINT ? "SIGINT" : "SIGTERM");
    notify_stopping();
    uv_timer_stop(&daemon->recovery.timer);
    control_free(daemon->control); /* clients then see from the queue that sluice is stopping */
    daemon->control = NULL;
    uv_timer_start(&daemon->deadline, on_stop_deadline, STOP_MOST_MS, 0);
    bool confirms = daemon->mqtt && mqtt_is_up(daemon->mqtt);
    deliver_pause(daemon->deliver, confirms, finish, daemon);
    if (daemon->mqtt)
        mqtt_hurry(daemon->mqtt);
    http_hurry(daemon->http);
}

/* ---- reloading ---- */

static void on_hangup(uv_signal_t *signal, int number)
{
    (void)number;
    struct daemon *daemon = signal->data;
    loop_time_skip_round(&daemon->loop_time);
    reload_config(daemon);
}

/* ---- requests at the control socket ---- */

/* Messages that a person retried. */
static void deliver_returned(void *context)
{
    struct daemon *daemon = context;
    int64_t lowest = queue_rescan_take(daemon->queue);
    if (lowest != 0)
        deliver_look_again(daemon->deliver, lowest);
}

/* The response comes later (control_reloaded). */
static void on_reload_asked(void *context)
{
    reload_config(context);
}

/* A dead letter that dies after this is seen again as new. */
static void on_dead_seen(void *context)
{
    struct daemon *daemon = context;
    queue_dead_seen(daemon->queue);
}

static char *on_status_asked(void *context)
{
    struct daemon *daemon = context;
    deliver_settle(daemon->deliver);
    return daemon_status_json(&(struct daemon_status){.config_path = daemon->config_path,
                                                      .first_config = daemon->first_config,
                                                      .kept_ms = daemon->kept_ms,
                                                      .queue = daemon->queue,
                                                      .mqtt = daemon->mqtt,
                                                      .http = daemon->http,
                                                      .deliver = daemon->deliver,
                                                      .metrics = &daemon->metrics,
                                                      .minute = &daemon->minute,
                                                      .started_ms = daemon->started_ms,
                                                      .stopping = daemon->stopping});
}

/* ---- while it runs ---- */

/* Certificates may be valid now. */
static void on_clock_set(void *context)
{
    early_try(context, "the clock was set");
}

static void on_released(void *context)
{
    struct daemon *daemon = context;
    pace_hurry(&daemon->upkeep);
    deliver_released(daemon->deliver);
}

/* Gives memory back after a busy time. */
static void trim_when_idle(struct daemon *daemon)
{
    uint64_t activity = daemon->metrics.received + daemon->metrics.requests;
    bool quiet = activity - daemon->activity < STATUS_QUIET;
    if (quiet && daemon->trim_due) {
        queue_trim(daemon->queue);
        memory_trim();
    }
    daemon->trim_due = !quiet;
    daemon->activity = activity;
}

static void report_status(struct daemon *daemon)
{
    trim_when_idle(daemon);
    reload_secrets(daemon);
    clock_watch_look(daemon->clock, clock_uptime_ms());
    const struct metrics *m = &daemon->metrics;
    struct db_wear wear = db_wear();
    notify_status("stored %" PRIu64 ", delivered %" PRIu64 ", dead-lettered %" PRIu64 "; %" PRIu64
                  " fsyncs, %.1f KB written",
                  m->stored, m->delivered, m->dead, wear.syncs, (double)wear.bytes_written / 1000);
}

static bool on_upkeep(void *context)
{
    struct daemon *daemon = context;
    uint64_t activity = daemon->metrics.received + daemon->metrics.requests;
    uint64_t more = activity - daemon->upkeep_activity;
    int64_t now_ms = clock_uptime_ms();
    bool rests = queue_upkeep(daemon->queue, more < UPKEEP_QUIET);
    daemon->upkeep_activity = activity;
    deliver_returned(daemon);
    log_repetitions(false);
    daemon_status_sample(&daemon->minute, &daemon->metrics);
    if (daemon->status_ms == 0 || now_ms - daemon->status_ms >= STATUS_EVERY_MS) {
        daemon->status_ms = now_ms;
        report_status(daemon);
    }
    return !rests || more > 0 || daemon->trim_due;
}

/* ---- starting ---- */

static void start_handles(struct daemon *daemon)
{
    uv_loop_t *loop = &daemon->loop;
    uv_signal_t *const signals[] = {&daemon->terminate, &daemon->interrupt, &daemon->hangup};
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        uv_signal_init(loop, signals[i]);
        signals[i]->data = daemon;
    }
    uv_timer_init(loop, &daemon->deadline);
    daemon->deadline.data = daemon;
    uv_signal_start(&daemon->terminate, on_terminate, SIGTERM);
    uv_signal_start(&daemon->interrupt, on_terminate, SIGINT);
    uv_signal_start(&daemon->hangup, on_hangup, SIGHUP);
    loop_time_start(&daemon->loop_time, loop, &daemon->metrics);
    wear_start(&daemon->wear, loop, &daemon->metrics);
    recover_start(daemon);
    early_start(daemon);
    daemon->trim_due = true; /* after the start */
    pace_start(&daemon->upkeep, loop, on_upkeep, daemon);
    watchdog_watch(&daemon->watchdog, loop);
}

/* `sluice send` has the queue for a moment while no daemon runs; then this waits. */
static int open_queue(struct daemon *daemon)
{
    char *why = NULL;
    int error = queue_open(daemon->config->queue.path, &daemon->queue, &why);
    for (int i = 0; error == -EBUSY && i < OPEN_TRIES; i++) {
        free(why);
        why = NULL;
        usleep(OPEN_WAIT_MS * 1000);
        error = queue_open(daemon->config->queue.path, &daemon->queue, &why);
    }
    if (error != 0) {
        log_error(EVENT_QUEUE_UNUSABLE, "%s", why);
        free(why);
    }
    return error;
}

static void on_loop_runs(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    const char *path = daemon->config->queue.path;
    const char *why_volatile = disk_volatile(path);
    if (why_volatile)
        log_warning(EVENT_QUEUE_VOLATILE, "queue %s: %s", path, why_volatile);
    cleanup_free char *counts = config_counts(daemon->config);
    log_notice(EVENT_READY, "queue %s, %s", path, counts);
    notify_ready();
}

int daemon_run(const char *config_path, struct config *config, int64_t kept_ms)
{
    signal(SIGPIPE, SIG_IGN);
    descriptors_raise();
    umask(027); /* the group may read the queue, others may not */
    struct daemon daemon = {.config_path = config_path,
                            .first_config = config,
                            .config = config,
                            .kept_ms = kept_ms,
                            .started_ms = clock_uptime_ms()};
    if (config->queue.trust_clock)
        clock_trust();
    watchdog_start(&daemon.watchdog);
    if (open_queue(&daemon) != 0) {
        watchdog_stop(&daemon.watchdog);
        config_free(config);
        return 1;
    }
    kept_config_save(config);
    uv_loop_init(&daemon.loop);
    uv_loop_configure(&daemon.loop, UV_METRICS_IDLE_TIME);
    start_handles(&daemon);
    queue_limit(daemon.queue, &config->queue);
    daemon.clock = clock_watch_new(&daemon.loop, daemon.queue, on_clock_set, &daemon);
    daemon.deliver = deliver_new(&daemon.loop, daemon.queue, config, &daemon.metrics);
    daemon.intake = intake_new(daemon.queue, config, &daemon.metrics, on_released, &daemon);
    broker_start(&daemon);
    daemon.http = http_new(&daemon.loop, config, daemon.intake, daemon.queue);
    daemon.control = control_new(
        &daemon.loop, config->daemon.socket, daemon.intake, daemon.queue,
        &(struct control_calls){on_status_asked, deliver_returned, on_dead_seen, on_reload_asked, &daemon});
    daemon_status_sample(&daemon.minute, &daemon.metrics);
    uv_timer_start(&daemon.deadline, on_loop_runs, 0, 0);

    uv_run(&daemon.loop, UV_RUN_DEFAULT); /* until finish() has closed every handle */

    int busy = uv_loop_close(&daemon.loop);
    assert(busy == 0);
    (void)busy;
    intake_free(daemon.intake);
    queue_close(daemon.queue);
    watchdog_stop(&daemon.watchdog);
    daemon_status_log_totals(&daemon.metrics);
    if (daemon.config != daemon.first_config)
        config_free(daemon.config);
    config_free(daemon.first_config);
    config_free(daemon.next_config);
    return 0;
}
