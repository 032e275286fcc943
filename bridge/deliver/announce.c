/* deliver/announce.c - logs that a backend or a route fails; see deliver/announce.h. */
#include "deliver/announce.h"

#include "base/clock.h"
#include "base/log.h"
#include "text/outage.h"

enum {
    AGAIN_AFTER_MS = 600 * 1000,  /* what lasts is logged again */
    ALARM_AFTER_MS = 3600 * 1000, /* a backend that is away this long needs a person */
};

/* What is announced: a backend or a route. */
struct subject {
    const char *name;
    struct scope *scope;
    struct announced *announced;
    enum log_event away, misconfigured;
    bool one_of_several;
};

static struct subject backend_of(const struct outcome *outcome)
{
    struct backend_state *backend = outcome->flight->lane->route->backend;
    return (struct subject){.name = backend->config->name,
                            .scope = &backend->destination.scope,
                            .announced = &backend->announced,
                            .away = EVENT_BACKEND_AWAY,
                            .misconfigured = EVENT_BACKEND_MISCONFIGURED,
                            .one_of_several = outcome->flight->deliver->config->backend_count > 1};
}

static struct subject route_of(const struct outcome *outcome)
{
    struct route_state *route = outcome->flight->lane->route;
    return (struct subject){.name = route->config->name,
                            .scope = &route->scope,
                            .announced = &route->announced,
                            .away = EVENT_ROUTE_AWAY,
                            .misconfigured = EVENT_ROUTE_MISCONFIGURED,
                            .one_of_several = outcome->flight->deliver->config->route_count > 1};
}

/* A transport failure is certain; a response may be about one message, so it is logged only
 * when a second one confirms it. */
static bool is_certain(const struct outcome *outcome, const struct scope *scope)
{
    enum transfer_failure failure = outcome->reply->failure;
    return scope->failures > 1 || (failure != TRANSFER_OK && failure != TRANSFER_BROKEN);
}

static void announce(const struct outcome *outcome, struct subject subject, int64_t wait_ms)
{
    struct scope *scope = subject.scope;
    struct announced *announced = subject.announced;
    bool away = scope->cause == VERDICT_AWAY;
    bool news = !scope->announced || scope->announced_cause != scope->cause;
    bool alarm = scope->announced && !scope->alarmed && outcome->now_ms - scope->since_ms >= ALARM_AFTER_MS;
    bool due =
        news ? is_certain(outcome, scope) : alarm || outcome->now_ms - announced->logged_ms >= AGAIN_AFTER_MS;
    if (announced->before_ms != 0)
        scope->since_ms = announced->before_ms;
    announced->before_ms = 0;
    free(announced->reason);
    announced->reason = xstrdup(outcome->reason);
    cleanup_free char *text =
        outage_text(&(struct outage){.state = away ? "away" : "misconfigured",
                                     .since_ms = clock_wall_ms() - (outcome->now_ms - scope->since_ms),
                                     .why = outcome->reason,
                                     .waiting = queue_waiting(outcome->flight->deliver->queue),
                                     .in_all = subject.one_of_several,
                                     .probes = true,
                                     .wait_ms = wait_ms});
    enum log_event event = away ? subject.away : subject.misconfigured;
    if (!due) {
        log_debug(event, "%s: %s", subject.name, text);
        return;
    }
    announced->logged_ms = outcome->now_ms;
    scope->announced = true;
    scope->announced_cause = scope->cause;
    scope->alarmed = scope->alarmed || alarm || !away;
    if (scope->alarmed && !(news && away))
        log_error(event, "%s: %s", subject.name, text);
    else
        log_warning(event, "%s: %s", subject.name, text);
}

void announce_backend(const struct outcome *outcome, int64_t wait_ms)
{
    announce(outcome, backend_of(outcome), wait_ms);
}

void announce_route(const struct outcome *outcome, int64_t wait_ms)
{
    announce(outcome, route_of(outcome), wait_ms);
}

static void announce_back(const struct outcome *outcome, struct subject subject, enum log_event event,
                          bool was_suspected, const char *how)
{
    int64_t since_ms =
        was_suspected && subject.scope->announced ? subject.scope->since_ms : subject.announced->before_ms;
    subject.announced->before_ms = 0;
    if (since_ms != 0)
        log_notice(event, "%s: %s after %lld s", subject.name, how,
                   (long long)(outcome->now_ms - since_ms) / 1000);
}

void announce_backend_back(const struct outcome *outcome, bool was_suspected)
{
    announce_back(outcome, backend_of(outcome), EVENT_BACKEND_BACK, was_suspected, "back");
}

void announce_route_back(const struct outcome *outcome, bool was_suspected, const char *how)
{
    announce_back(outcome, route_of(outcome), EVENT_ROUTE_BACK, was_suspected, how);
}

int64_t announce_since_ms(const struct scope *scope, const struct announced *announced)
{
    return scope->suspected && scope->announced ? scope->since_ms : announced->before_ms;
}
