/* deliver/announce.c - see deliver/announce.h. */
#include "deliver/announce.h"
#include "base/clock.h"
#include "base/log.h"
#include "text/outage.h"

enum {
    AGAIN_AFTER_MS = 600 * 1000,  /* what lasts is logged again */
    ALARM_AFTER_MS = 3600 * 1000, /* a backend that is away this long needs a person */
};

void announce_reason(struct report *report, const char *reason)
{
    free(report->reason);
    report->reason = xstrdup(reason);
}

/* How it is now. The queue may not know yet how long it is. */
static char *describe(const struct deliver *deliver, const struct scope *scope, const struct report *report,
                      bool in_all, int64_t wait_ms)
{
    return outage_text(&(struct outage){.state = scope->cause == VERDICT_AWAY ? "away" : "misconfigured",
                                        .since_ms = clock_wall_ms() - (clock_uptime_ms() - scope->since_ms),
                                        .why = report->reason,
                                        .waiting = queue_waiting(deliver->queue),
                                        .in_all = in_all,
                                        .probes = true,
                                        .wait_ms = wait_ms});
}

static void announce(const struct deliver *deliver, struct scope *scope, struct report *report, bool backend,
                     const char *name, bool in_all, int64_t wait_ms)
{
    int64_t now_ms = clock_uptime_ms();
    bool away = scope->cause == VERDICT_AWAY;
    bool news = !scope->announced || scope->announced_cause != scope->cause;
    if (report->before_ms != 0)
        scope->since_ms = report->before_ms;
    report->before_ms = 0;
    bool alarm = scope->announced && !scope->alarmed && now_ms - scope->since_ms >= ALARM_AFTER_MS;
    enum log_event event = backend ? (away ? EVENT_BACKEND_AWAY : EVENT_BACKEND_MISCONFIGURED)
                                   : (away ? EVENT_ROUTE_AWAY : EVENT_ROUTE_MISCONFIGURED);
    cleanup_free char *outage = describe(deliver, scope, report, in_all, wait_ms);
    if (!news && !alarm && now_ms - report->at_ms < AGAIN_AFTER_MS) {
        log_debug(event, "%s: %s", name, outage);
        return;
    }
    report->at_ms = now_ms;
    scope->announced = true;
    scope->announced_cause = scope->cause;
    scope->alarmed = scope->alarmed || alarm || !away;
    if (scope->alarmed && !(news && away))
        log_error(event, "%s: %s", name, outage);
    else
        log_warning(event, "%s: %s", name, outage);
}

void announce_backend(struct deliver *deliver, struct backend_state *backend, int64_t wait_ms)
{
    announce(deliver, &backend->destination.scope, &backend->report, true, backend->config->name,
             deliver->config->backend_count > 1, wait_ms);
}

void announce_route(struct deliver *deliver, struct route_state *route, int64_t wait_ms)
{
    announce(deliver, &route->scope, &route->report, false, route->config->name,
             deliver->config->route_count > 1, wait_ms);
}

/* How long it was suspected; -1: that was not announced. */
static int64_t lasted_s(const struct scope *scope, struct report *report, bool suspected, int64_t now_ms)
{
    int64_t since_ms = suspected && scope->announced ? scope->since_ms : report->before_ms;
    report->before_ms = 0;
    return since_ms != 0 ? (now_ms - since_ms) / 1000 : -1;
}

void announce_backend_back(struct backend_state *backend, bool suspected, int64_t now_ms)
{
    int64_t s = lasted_s(&backend->destination.scope, &backend->report, suspected, now_ms);
    if (s >= 0)
        log_notice(EVENT_BACKEND_BACK, "%s: back after %lld s", backend->config->name, (long long)s);
}

void announce_route_back(struct route_state *route, bool suspected, int64_t now_ms)
{
    int64_t s = lasted_s(&route->scope, &route->report, suspected, now_ms);
    if (s >= 0)
        log_notice(EVENT_ROUTE_BACK, "%s: passes again after %lld s", route->config->name, (long long)s);
}
