/* deliver/response.c - classifies a response, and acts on it; see deliver/response.h. */
#include "deliver/response.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "deliver/blame.h"
#include "deliver/lanes.h"
#include "deliver/settle.h"
#include "request/redact.h"
#include "text/html.h"

#include <string.h>
#include <strings.h>

/* ---- what it means ---- */

/* The text that the configuration expects in a successful response, and that is not in it; or
 * NULL. */
static const char *missing_text(const struct config_route *route, const struct config_backend *backend,
                                const struct reply *reply)
{
    const char *text = route->expect_body ? route->expect_body : backend->expect_body;
    if (!text || reply->status / 100 != 2 || memmem(reply->body, reply->body_bytes, text, strlen(text)))
        return NULL;
    return text;
}

/* Of a page, only its text. */
static char *describe(const struct flight *flight, const struct reply *reply, const char *missing)
{
    const struct config_route *route = flight->lane->route->config;
    const struct config_backend *backend = flight->lane->route->backend->config;
    if (reply->failure != TRANSFER_OK)
        return redact_text(backend, route, flight->target, reply->error, strlen(reply->error));
    cleanup_free char *page = NULL;
    if (html_is(reply->content_type, reply->body, reply->body_bytes))
        page = html_text(reply->body, reply->body_bytes);
    cleanup_free char *body = redact_text(backend, route, flight->target, page ? page : reply->body,
                                          page ? strlen(page) : reply->body_bytes);
    cleanup_free char *expected =
        missing ? xasprintf("the response does not contain \"%s\": ", missing) : xstrdup("");
    return xasprintf("%s%d%s%s", expected, reply->status, body[0] != '\0' ? ": " : "", body);
}

/* By the table of deliver/verdict.h, then by the configuration. */
static void classify(struct outcome *outcome)
{
    const struct reply *reply = outcome->reply;
    const struct config_route *route = outcome->flight->lane->route->config;
    const struct config_backend *backend = outcome->flight->lane->route->backend->config;
    const char *missing = NULL;
    outcome->verdict = verdict_of(reply->failure, reply->status,
                                  reply->failure == TRANSFER_CERTIFICATE_TIME && clock_synchronised());
    if (reply->failure == TRANSFER_OK) {
        outcome->verdict = verdict_override(backend->on_status.items, backend->on_status.count, reply->status,
                                            outcome->verdict);
        outcome->verdict =
            verdict_override(route->on_status.items, route->on_status.count, reply->status, outcome->verdict);
        missing = outcome->verdict == VERDICT_DELIVERED ? missing_text(route, backend, reply) : NULL;
    }
    if (missing)
        outcome->verdict = VERDICT_MISCONFIGURED;
    if (outcome->verdict != VERDICT_DELIVERED)
        outcome->reason = describe(outcome->flight, reply, missing);
}

/* ---- what it does ---- */

static void warn_of_html(struct route_state *route, const struct reply *reply)
{
    const char *type = reply->content_type;
    if (!type || strncasecmp(type, "text/html", strlen("text/html")) != 0 || route->html_seen)
        return;
    route->html_seen = true;
    log_error(EVENT_RESPONSE_HTML,
              "route %s: the response %d is a web page (text/html): is the URL of the backend right?",
              route->config->name, reply->status);
}

static void on_delivered(const struct outcome *outcome)
{
    struct flight *flight = outcome->flight;
    for (unsigned i = 0; i < flight->count; i++) {
        queue_settle(flight->deliver->queue, flight->ids[i], flight->may_come_again);
        lanes_remove(flight->deliver, flight->lane, flight->ids[i]);
    }
    flight->deliver->metrics->delivered += flight->count;
    blame_nobody(outcome);
    warn_of_html(flight->lane->route, outcome->reply);
    settle_later(flight->deliver);
}

void response_act(struct flight *flight, const struct reply *reply)
{
    fault_fails("deliver.response");
    struct backend_state *backend = flight->lane->route->backend;
    struct outcome outcome = {.flight = flight, .reply = reply, .now_ms = clock_uptime_ms()};
    classify(&outcome);
    destination_ended(&backend->destination, reply->http_version);
    if (flight->isolated)
        backend->isolated = false;
    switch (outcome.verdict) {
    case VERDICT_DELIVERED:
        on_delivered(&outcome);
        break;
    case VERDICT_AWAY:
    case VERDICT_MISCONFIGURED:
        blame_scope(&outcome);
        break;
    case VERDICT_LATER:
        blame_message_later(&outcome);
        break;
    case VERDICT_BAD:
        blame_message(&outcome);
        break;
    }
    free(outcome.reason);
}
