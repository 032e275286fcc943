/* deliver/response.c - see deliver/response.h. Failures are the subject of deliver/blame.h. */
#include "deliver/response.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "deliver/announce.h"
#include "deliver/blame.h"
#include "deliver/deferred.h"
#include "deliver/lanes.h"
#include "deliver/line.h"
#include "request/redact.h"
#include "text/html.h"

#include <errno.h>
#include <string.h>

/* The reason of a failure, for people: secrets struck out, a page as its text. */
static char *describe(const struct flight *flight, const struct reply *reply)
{
    const struct config_route *route = flight->route->config;
    const struct config_backend *backend = flight->route->backend->config;
    if (reply->failure != TRANSFER_OK)
        return redact_text(backend, route, flight->target, reply->error, strlen(reply->error));
    cleanup_free char *page = NULL;
    if (html_is(reply->content_type, reply->body, reply->body_bytes))
        page = html_text(reply->body, reply->body_bytes);
    cleanup_free char *body = redact_text(backend, route, flight->target, page ? page : reply->body,
                                          page ? strlen(page) : reply->body_bytes);
    return xasprintf("%d%s%s", reply->status, body[0] != '\0' ? ": " : "", body);
}

/* The text that a 2xx response must contain and does not; NULL: nothing is missing. */
static const char *missing_text(const struct config_route *route, const struct config_backend *backend,
                                const struct reply *reply)
{
    const char *text = route->expect_body ? route->expect_body : backend->expect_body;
    if (!text || reply->status / 100 != 2 || memmem(reply->body, reply->body_bytes, text, strlen(text)))
        return NULL;
    return text;
}

bool response_pages_are_right(const struct route_state *route)
{
    const struct config_backend *backend = route->backend->config;
    return route->config->html_ok || backend->html_ok || route->config->expect_body || backend->expect_body;
}

/* The table says what a response means, then the configuration. */
static void judge(struct outcome *outcome)
{
    const struct reply *reply = outcome->reply;
    const struct config_route *route = outcome->flight->route->config;
    const struct config_backend *backend = outcome->flight->route->backend->config;
    const char *missing = NULL;
    outcome->verdict = verdict_of(reply->failure, reply->status,
                                  reply->failure == TRANSFER_CERTIFICATE_TIME && clock_synchronised());
    if (reply->failure == TRANSFER_OK) {
        const struct config_rules *rules[] = {&backend->on_status, &route->on_status};
        for (size_t i = 0; i < ARRAY_LEN(rules); i++)
            outcome->by_user |=
                verdict_override(rules[i]->items, rules[i]->count, reply->status, &outcome->verdict);
        missing = outcome->verdict == VERDICT_DELIVERED ? missing_text(route, backend, reply) : NULL;
    }
    if (missing)
        outcome->verdict = VERDICT_MISCONFIGURED;
    if (outcome->verdict == VERDICT_DELIVERED)
        return;
    cleanup_free char *reason = describe(outcome->flight, reply);
    outcome->reason =
        missing ? xasprintf("the response does not contain \"%s\": %s", missing, reason) : xstrdup(reason);
}

/* ---- delivered ---- */

static void settle(struct flight *flight)
{
    struct deliver *deliver = flight->deliver;
    for (unsigned i = 0; i < flight->count; i++) {
        queue_settle(deliver->queue, flight->ids[i], flight->may_come_again);
        if (!flight->lanes[i])
            continue;
        flight->lanes[i]->asked = 0;
        lanes_remove(deliver, flight->lanes[i], flight->ids[i]);
    }
    if (flight->deferred)
        deferred_remove(deliver, flight->deferred);
    flight->deferred = NULL;
    deliver->metrics->delivered += flight->count;
    hour_note(&flight->route->hour, &(struct hour_count){.delivered = flight->count}, clock_uptime_ms());
    deliver->metrics->repaired += flight->repaired;
}

static void rescan_later(struct deliver *deliver, int64_t lowest)
{
    if (deliver->rescan_from == 0 || lowest < deliver->rescan_from)
        deliver->rescan_from = lowest;
    deliver_wake_at(deliver, clock_uptime_ms());
}

/* A message passes of a route that was held. If that was before the start or the reload, the
 * configuration was wrong, and not the messages: they return. */
static void release(struct deliver *deliver, struct route_state *route)
{
    int64_t lowest = 0;
    unsigned left = 0;
    for (unsigned i = 0; i < route->returns; i++) {
        int error = queue_return(deliver->queue, route->rejected_ids[i]);
        if (error == 0 && (lowest == 0 || route->rejected_ids[i] < lowest))
            lowest = route->rejected_ids[i];
        if (error != 0 && error != -ENOENT) /* when the next message passes */
            route->rejected_ids[left++] = route->rejected_ids[i];
    }
    if (lowest > 0)
        log_notice(EVENT_DEAD_LETTERS_RETURNED,
                   "route %s: the messages that were rejected before the change of the configuration are "
                   "delivered again",
                   route->config->name);
    if (lowest > 0)
        rescan_later(deliver, lowest);
    route->returns = left;
    route->held = false;
    queue_hold_route(deliver->queue, route->config->name, route->rejected_ids, left);
    if (route->config->formerly)
        queue_hold_route(deliver->queue, route->config->formerly, NULL, 0);
}

/* A script that fails often responds with status 200 and a page: then nothing was stored there. */
static void note_page(const struct outcome *outcome)
{
    const struct reply *reply = outcome->reply;
    struct route_state *route = outcome->flight->route;
    if (reply->status / 100 != 2 || !html_is(reply->content_type, reply->body, reply->body_bytes) ||
        response_pages_are_right(route))
        return;
    route->page.messages += outcome->flight->count;
    if (route->page.since_ms != 0)
        return;
    route->page.since_ms = outcome->now_ms;
    route->page.text = describe(outcome->flight, reply);
    log_error(
        EVENT_RESPONSE_HTML,
        "route %s: the response is a web page (%s): is the URL of the backend right? Set expect_body, or "
        "html = ok if such a page is right",
        route->config->name, route->page.text);
}

static void on_delivered(const struct outcome *outcome)
{
    struct flight *flight = outcome->flight;
    struct route_state *route = flight->route;
    settle(flight);
    route->passed_ms = route->backend->passed_ms = outcome->now_ms;
    blame_acquit_backend(outcome, true);
    bool suspected = scope_passed(&route->scope, flight->route_probe);
    announce_route_back(route, suspected, outcome->now_ms);
    route->rejected_in_row = 0;
    route->rejected_lanes = 0;
    route->unfit_in_row = 0;
    if (route->held || route->returns > 0)
        release(flight->deliver, route);
    note_page(outcome);
}

/* ---- rejected ---- */

/* Nobody is to blame for a body that is too long: bodies are smaller from now on. */
static void send_less(const struct outcome *outcome)
{
    struct flight *flight = outcome->flight;
    struct route_state *route = flight->route;
    size_t half = flight->body_bytes / 2;
    scope_unstarted(&route->scope, flight->route_probe);
    if (half >= route->batch_bytes)
        return; /* a request that was in flight as well reported it already */
    route->batch_bytes = half;
    log_notice(EVENT_BATCH_SIZE_REDUCED,
               "route %s: the backend refuses %zu bytes at once (413); batches have at most %zu from now on",
               route->config->name, flight->body_bytes, half);
}

static void on_rejected(const struct outcome *outcome)
{
    struct flight *flight = outcome->flight;
    blame_acquit_backend(outcome, false);
    if (flight->count > 1 && outcome->verdict == VERDICT_BAD && outcome->reply->status == 413)
        send_less(outcome);
    else if (flight->count > 1)
        blame_batch(outcome);
    else if (outcome->verdict == VERDICT_BAD)
        blame_message(outcome, flight->attempts, "rejected");
    else
        blame_later(outcome);
}

void response_act(struct flight *flight, const struct reply *reply)
{
    fault_fails("deliver.response");
    struct backend_state *backend = flight->route->backend;
    struct outcome outcome = {.flight = flight, .reply = reply, .now_ms = clock_uptime_ms()};
    judge(&outcome);
    destination_ended(&backend->destination, reply->http_version);
    backend->suspects_in_flight -= flight->suspect;
    if (flight->isolated)
        backend->isolated = false;
    if (flight->deferred)
        deferred_ended(backend, flight->deferred, outcome.now_ms);
    switch (outcome.verdict) {
    case VERDICT_DELIVERED:
        on_delivered(&outcome);
        break;
    case VERDICT_AWAY:
    case VERDICT_MISCONFIGURED:
        blame_scope(&outcome);
        break;
    case VERDICT_LATER:
    case VERDICT_BAD:
        on_rejected(&outcome);
        break;
    }
    free(outcome.reason);
    bool ended = flight->deferred && flight->deferred->ended; /* its lane has it again */
    if (ended)
        deferred_remove(flight->deliver, flight->deferred);
    if (ended || flight->unheld)
        rescan_later(flight->deliver, flight->ids[0]);
}
