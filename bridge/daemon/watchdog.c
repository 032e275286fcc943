/* daemon/watchdog.c - see daemon/watchdog.h. */
#include "daemon/watchdog.h"
#include "base/log.h"
#include "daemon/notify.h"
#include "net/pace.h"

#include <inttypes.h>

enum { LOOK_MS = 5000, LOOKS_PER_EXTENSION = 4 };

bool watchdog_must_help(struct watchdog_look *last, struct watchdog_look now, uint64_t look_ms)
{
    bool reported = now.reports != last->reports;
    bool progress = reported || now.disk.progress != last->disk.progress;
    bool on_disk = now.disk.steps % 2 == 1 || now.disk.steps != last->disk.steps;
    bool same = now.disk.steps % 2 == 1 && now.disk.steps == last->disk.steps;
    now.waited_ms = same ? last->waited_ms + look_ms : 0;
    now.helped_ms = progress ? 0 : last->helped_ms;
    bool helps = !reported && on_disk && now.helped_ms < WATCHDOG_DISK_MOST_MS;
    if (helps)
        now.helped_ms += look_ms;
    *last = now;
    return helps;
}

/* An operation that takes longer than one look is not usual. */
static void report_wait(uint64_t before_ms, uint64_t waited_ms)
{
    if (before_ms == 0 && waited_ms > 0)
        log_warning(EVENT_DISK_SLOW,
                    "the disk has not finished an operation for %" PRIu64
                    " s: nothing is stored or acknowledged until it has; if this comes often, the disk may "
                    "be about to fail",
                    waited_ms / 1000);
    if (before_ms > 0 && waited_ms == 0)
        log_notice(EVENT_DISK_RESPONDS, "after more than %" PRIu64 " s", before_ms / 1000);
}

static void run_thread(void *context)
{
    struct watchdog *watchdog = context;
    struct watchdog_look last = {0};
    uv_mutex_lock(&watchdog->mutex);
    while (!watchdog->ends) {
        if (uv_cond_timedwait(&watchdog->ended, &watchdog->mutex, watchdog->look_ms * 1000000) == 0)
            continue;
        struct watchdog_look now = {.reports = atomic_load(&watchdog->reports), .disk = disk_signs()};
        uint64_t before_ms = last.waited_ms;
        bool helps = watchdog_must_help(&last, now, watchdog->look_ms);
        report_wait(before_ms, last.waited_ms);
        if (helps)
            notify_waiting("waiting for the disk", LOOKS_PER_EXTENSION * watchdog->look_ms);
    }
    uv_mutex_unlock(&watchdog->mutex);
}

void watchdog_start(struct watchdog *watchdog)
{
    uint64_t report_ms = notify_watchdog_ms();
    if (!notify_is_wanted())
        return;
    watchdog->look_ms = report_ms > 0 ? report_ms / 2 + 1 : LOOK_MS;
    uv_mutex_init(&watchdog->mutex);
    uv_cond_init(&watchdog->ended);
    watchdog->has_thread = uv_thread_create(&watchdog->thread, run_thread, watchdog) == 0;
}

static void report_later(struct watchdog *watchdog);

static void on_time(uv_timer_t *timer)
{
    struct watchdog *watchdog = timer->data;
    atomic_fetch_add(&watchdog->reports, 1);
    notify_alive();
    report_later(watchdog);
}

/* At a moment at which the loop wakes up anyway, if the limit is long enough. */
static void report_later(struct watchdog *watchdog)
{
    uv_timer_t *timer = &watchdog->timer;
    uint64_t report_ms = notify_watchdog_ms();
    uint64_t rest_ms = pace_rest_ms(uv_now(timer->loop));
    uv_timer_start(timer, on_time, report_ms < PACE_REST_MS ? report_ms : rest_ms, 0);
}

void watchdog_watch(struct watchdog *watchdog, uv_loop_t *loop)
{
    uv_timer_init(loop, &watchdog->timer);
    watchdog->timer.data = watchdog;
    if (notify_watchdog_ms() > 0)
        report_later(watchdog);
}

void watchdog_stop(struct watchdog *watchdog)
{
    if (!watchdog->has_thread)
        return;
    uv_mutex_lock(&watchdog->mutex);
    watchdog->ends = true;
    uv_cond_signal(&watchdog->ended);
    uv_mutex_unlock(&watchdog->mutex);
    uv_thread_join(&watchdog->thread);
    watchdog->has_thread = false;
}
