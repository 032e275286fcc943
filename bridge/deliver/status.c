/* deliver/status.c - what is said of backends and routes, where people ask. */
#include "base/clock.h"
#include "deliver/internal.h"
#include "deliver/response.h"

static int64_t wall_ms(int64_t uptime_ms)
{
    return uptime_ms == 0 ? 0 : clock_wall_ms() - (clock_uptime_ms() - uptime_ms);
}

static void describe_scope(const struct scope *scope, const struct report *report, const char *trusted,
                           struct cJSON *to)
{
    const char *suspected = scope->cause == VERDICT_AWAY ? "away" : "misconfigured";
    status_add_text(to, STATUS_SCOPE_STATE, scope->suspected ? suspected : trusted);
    if (!scope->suspected)
        return;
    status_add_time(to, STATUS_SCOPE_SINCE, wall_ms(scope->since_ms));
    status_add_text(to, STATUS_SCOPE_WHY, report->reason);
    status_add_bool(to, STATUS_SCOPE_PROBING, scope->probing != 0);
    status_add_time(to, STATUS_SCOPE_NEXT_TRY, scope->probing != 0 ? 0 : wall_ms(scope->retry_at_ms));
    status_add_number(to, STATUS_SCOPE_FAILURES, scope->rounds);
}

static void describe_backend(const struct backend_state *backend, struct cJSON *to)
{
    const struct destination *destination = &backend->destination;
    status_add_text(to, STATUS_BACKEND_NAME, backend->config->name);
    status_add_text(to, STATUS_BACKEND_URL, backend->config->url);
    /* Nothing was sent yet: nothing is known of it. */
    describe_scope(&destination->scope, &backend->report, destination->http_version == 0 ? "untried" : "ok",
                   to);
    status_add_number(to, STATUS_BACKEND_IN_FLIGHT, destination->in_flight);
    status_add_number(to, STATUS_BACKEND_BUDGET, destination_budget(destination));
}

static void describe_route(const struct route_state *route, struct cJSON *to)
{
    status_add_text(to, STATUS_ROUTE_NAME, route->config->name);
    status_add_text(to, STATUS_ROUTE_FORMERLY, route->config->formerly);
    status_add_text(to, STATUS_ROUTE_BACKEND, route->backend->config->name);
    describe_scope(&route->scope, &route->report, "ok", to);
    status_add_bool(to, STATUS_ROUTE_HELD, route->held);
    bool page = route->page.since_ms != 0 && !response_pages_are_right(route);
    status_add_time(to, STATUS_ROUTE_HTML_SINCE, page ? wall_ms(route->page.since_ms) : 0);
    status_add_number(to, STATUS_ROUTE_HTML_MESSAGES, page ? (int64_t)route->page.messages : 0);
    status_add_text(to, STATUS_ROUTE_HTML_TEXT, page ? route->page.text : NULL);
    struct hour_count hour = hour_sum(&route->hour, clock_uptime_ms());
    status_add_number(to, STATUS_ROUTE_HOUR_DELIVERED, (int64_t)hour.delivered);
    status_add_number(to, STATUS_ROUTE_HOUR_DEAD, (int64_t)hour.dead);
    if (route->config->batch > 1)
        status_add_number(to, STATUS_ROUTE_BATCH_BYTES, (int64_t)route->batch_bytes);
}

void deliver_describe(const struct deliver *deliver, struct cJSON *backends, struct cJSON *routes)
{
    for (size_t i = 0; i < deliver->config->backend_count; i++)
        describe_backend(&deliver->backends[i], status_append(backends));
    for (size_t i = 0; i < deliver->config->route_count; i++)
        describe_route(&deliver->routes[i], status_append(routes));
}
