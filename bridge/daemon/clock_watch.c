/* daemon/clock_watch.c - see daemon/clock_watch.h.
 *
 * The kernel reports a step: it cancels a timer that never expires (timerfd_create(2),
 * TFD_TIMER_CANCEL_ON_SET), which becomes readable. It does not report that the clock became
 * synchronised without a step, because an NTP daemon found it right, or slews it. So
 * clock_watch_look() asks the kernel every ten seconds, which costs one system call. It also
 * finds a step if there is no such timer, and repairs times again if the database was locked.
 *
 * The times of messages in the queue can be repaired at any moment; a message that is
 * delivered before is marked as one with a clock that is not right.
 */
#include "daemon/clock_watch.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { PATIENCE_MS = 10 * 60 * 1000 }; /* after the start: the network and NTP may come late */

enum stage { NOT_LOOKED, RIGHT, WAITING, EXPLAINED };

struct clock_watch {
    struct queue *queue;
    clock_set_fn *on_set;
    void *context;
    int fd;
    uv_poll_t poll; /* on fd, if there is one */
    int64_t since_ms;
    enum stage stage;
};

/* ---- steps ---- */

#define NEVER ((time_t)((UINT64_C(1) << (8 * sizeof(time_t) - 1)) - 1))

static int open_timer(void)
{
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    const struct itimerspec never = {.it_value.tv_sec = NEVER};
    if (fd >= 0 && timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) == 0)
        return fd;
    int error = errno;
    if (fd >= 0)
        close(fd);
    return -error;
}

/* The timer stays armed. The result of read() does not matter: ECANCELED, or, in the tests,
 * that a file was written. */
static void on_step(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct clock_watch *watch = poll->data;
    char nothing[4096];
    if (read(watch->fd, nothing, sizeof nothing) < 0 && errno == EAGAIN)
        return;
    clock_watch_look(watch, clock_uptime_ms());
    watch->on_set(watch->context);
}

static void watch_steps(struct clock_watch *watch, uv_loop_t *loop)
{
    int error = watch->fd = fault_clock_fd();
    if (watch->fd < 0)
        error = watch->fd = open_timer();
    if (error >= 0)
        error = uv_poll_init(loop, &watch->poll, watch->fd);
    if (error < 0) {
        log_info(EVENT_CLOCK_STEPS_LATE, "timerfd: %s", strerror(-error));
        if (watch->fd >= 0)
            close(watch->fd);
        watch->fd = -1;
        return;
    }
    watch->poll.data = watch;
    uv_poll_start(&watch->poll, UV_READABLE, on_step);
}

/* ---- reports ---- */

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static const char *advice(enum clock_state state)
{
    if (state == CLOCK_DENIED)
        return "the kernel denies the question (adjtimex), as in a container or under systemd's "
               "ProtectClock; "
               "if something else keeps the clock right, set clock = trust in [queue]";
    if (exists("/run/chrony"))
        return "does chrony reach its servers (chronyc tracking)? If it does, put rtcsync into "
               "chrony.conf, or set clock = trust in [queue]";
    if (exists("/run/systemd/container") || exists("/.dockerenv") || exists("/run/.containerenv"))
        return "this is a container, and its host does not report that the clock is right; if it is, set "
               "clock = trust in [queue]";
    return "does an NTP daemon run, and reach its servers (timedatectl)? If the clock is right anyway, set "
           "clock = trust in [queue]";
}

static void report_right(struct clock_watch *watch)
{
    queue_problem_set(watch->queue, "clock", NULL);
    if (clock_kernel_state() == CLOCK_UNFLAGGED)
        log_info(EVENT_CLOCK_UNFLAGGED, "the clock is right, but the kernel's flag is not set (chrony "
                                        "without rtcsync?); this is enough for "
                                        "sluice");
}

static void report_wrong(struct clock_watch *watch, enum stage stage, enum clock_state state)
{
    if (stage == WAITING) {
        log_notice(EVENT_CLOCK_UNSYNCHRONISED, "not synchronised yet; deliveries are marked until then");
        queue_problem_set(watch->queue, "clock", NULL); /* nobody has to do anything yet */
        return;
    }
    cleanup_free char *reason = xasprintf("not synchronised: %s", advice(state));
    log_warning(EVENT_CLOCK_UNSYNCHRONISED, "%s; deliveries are marked until then", reason);
    queue_problem_set(watch->queue, "clock", reason);
}

/* ---- looking ---- */

void clock_watch_look(struct clock_watch *watch, int64_t uptime_ms)
{
    queue_clock_changed(watch->queue); /* it logs an error, and the next look tries again */
    enum clock_state state = clock_kernel_state();
    bool patient = state != CLOCK_DENIED && uptime_ms - watch->since_ms < PATIENCE_MS;
    enum stage stage = queue_clock_is_right(watch->queue) ? RIGHT : patient ? WAITING : EXPLAINED;
    if (stage == watch->stage)
        return;
    watch->stage = stage;
    if (stage == RIGHT)
        report_right(watch);
    else
        report_wrong(watch, stage, state);
}

struct clock_watch *clock_watch_new(uv_loop_t *loop, struct queue *queue, clock_set_fn *on_set, void *context)
{
    struct clock_watch *watch = xcalloc(1, sizeof *watch);
    watch->queue = queue;
    watch->on_set = on_set;
    watch->context = context;
    watch->since_ms = clock_uptime_ms();
    watch_steps(watch, loop);
    clock_watch_look(watch, watch->since_ms);
    return watch;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void clock_watch_free(struct clock_watch *watch)
{
    if (!watch)
        return;
    if (watch->fd < 0) {
        free(watch);
        return;
    }
    uv_close((uv_handle_t *)&watch->poll, on_closed); /* leaves epoll at once */
    close(watch->fd);
}
