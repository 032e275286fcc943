/* deliver/status.c - what is said of backends and routes, where people ask. */
#include "base/clock.h"
#include "deliver/internal.h"

static int64_t wall_ms(int64_t uptime_ms)
{
    return uptime_ms == 0 ? 0 : clock_wall_ms() - (clock_uptime_ms() - uptime_ms);
}

static void describe_scope(const struct scope *scope, const struct told *told, const char *trusted,
                           struct report *to)
{
    const char *suspected = scope->cause == VERDICT_AWAY ? "away" : "misconfigured";
    report_add_text(to, "state", scope->suspected ? suspected : trusted);
    if (!scope->suspected)
        return;
    report_add_time(to, "since", wall_ms(scope->since_ms));
    report_add_text(to, "why", told->words);
    report_add_truth(to, "probing", scope->probing != 0);
    report_add_time(to, "next_try", scope->probing != 0 ? 0 : wall_ms(scope->retry_at_ms));
    report_add_number(to, "failures", scope->failures);
}

static void describe_backend(const struct backend_state *backend, struct report *to)
{
    const struct destination *destination = &backend->destination;
    report_add_text(to, "name", backend->config->name);
    report_add_text(to, "url", backend->config->url);
    /* Nothing was sent yet: nothing is known of it. */
    describe_scope(&destination->scope, &backend->told, destination->http_version == 0 ? "untried" : "ok",
                   to);
    report_add_number(to, "in_flight", destination->in_flight);
    report_add_number(to, "budget", destination_budget(destination));
}

static void describe_route(const struct route_state *route, struct report *to)
{
    report_add_text(to, "name", route->config->name);
    report_add_text(to, "backend", route->backend->config->name);
    describe_scope(&route->scope, &route->told, "ok", to);
    report_add_truth(to, "held", route->held);
    if (route->config->batch > 1)
        report_add_number(to, "batch_bytes", (int64_t)route->batch_bytes);
}

void deliver_describe(const struct deliver *deliver, struct report *backends, struct report *routes)
{
    for (size_t i = 0; i < deliver->config->backend_count; i++)
        describe_backend(&deliver->backends[i], report_append_object(backends));
    for (size_t i = 0; i < deliver->config->route_count; i++)
        describe_route(&deliver->routes[i], report_append_object(routes));
}
