/* deliver/response.c - what an answer does: settle, suspect, take apart, blame, bury.
 *
 * One rule for all failures (see deliver/scope.h): a failure suspects the widest scope
 * of its class. A message is only held responsible when a neighbour in that
 * scope passed after it had failed, or when the answer says that it is this
 * message. A batch that may be at fault is tried again as its halves (deliver/bisect.h), until
 * the message stands alone. Messages are set aside one by one; when ten in a row are
 * rejected and none passes between, it is not the messages: the route is held.
 */
#include "base/backoff.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "deliver/internal.h"
#include "request/redact.h"
#include "text/outage.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    CONDEMNED_IN_ROW_MOST = 10,
    ALARM_AFTER_UNFIT = 10,
    AGAIN_AFTER_MS = 600 * 1000,  /* what lasts is told again */
    ALARM_AFTER_MS = 3600 * 1000, /* a backend that is away this long needs a person */
};

/* An answer on its way through this file. */
struct outcome {
    struct flight *flight;
    const struct reply *reply;
    enum verdict verdict;
    int64_t now_ms;
    char *words; /* "503: Service Unavailable", for people; secrets struck out */
};

static char *describe(const struct flight *flight, const struct reply *reply)
{
    const struct config_route *route = flight->lane->route->config;
    const struct config_backend *backend = flight->lane->route->backend->config;
    if (reply->failure != TRANSFER_OK)
        return redact_text(backend, route, flight->target, reply->error, strlen(reply->error));
    cleanup_free char *body = redact_text(backend, route, flight->target, reply->body, reply->body_bytes);
    return xasprintf("%d%s%s", reply->status, body[0] != '\0' ? ": " : "", body);
}

/* ---- waits ---- */

static int64_t backoff_for(const struct outcome *outcome, unsigned failures)
{
    const struct config_backend *backend = outcome->flight->lane->route->backend->config;
    int64_t wait_ms = backoff_wait_ms(backend->retry_min_ms, backend->retry_max_ms, failures, clock_chance());
    int64_t asked_ms;
    if (outcome->reply->retry_after &&
        backoff_retry_after_ms(outcome->reply->retry_after, queue_now_ms(outcome->flight->deliver->queue),
                               backend->retry_max_ms, &asked_ms) == 0 &&
        asked_ms > wait_ms)
        wait_ms =
            asked_ms; /* never sooner than otherwise: "0", or a date in the past, must not make a hot loop */
    return wait_ms;
}

/* ---- suspicion ---- */

/* Whether the failure may be this message's doing at all. What never reached the
 * backend is not, nor what a proxy says of a backend that is away, or one that
 * has enough. */
static bool may_be_its_fault(const struct reply *reply)
{
    if (reply->failure != TRANSFER_OK)
        return reply->failure == TRANSFER_BROKEN;
    switch (reply->status) {
    case 408:
    case 425:
    case 429:
    case 502:
    case 503:
    case 504:
        return false;
    default:
        return true;
    }
}

/* Too many requests: whoever else is answered meanwhile, the backend wants rest. */
static bool asks_to_wait(const struct reply *reply)
{
    return reply->status == 429 || (reply->retry_after && reply->failure == TRANSFER_OK);
}

/* Whether a batch may be at fault. What a proxy says counts here: a member may have
 * broken what is behind it, or all of them take it too long. */
static bool may_be_the_batch(const struct reply *reply)
{
    return may_be_its_fault(reply) || (reply->failure == TRANSFER_OK && !asks_to_wait(reply));
}

/* What broke together with others is not evidence against this one. */
static bool broke_with_others(const struct outcome *outcome)
{
    return outcome->reply->failure == TRANSFER_BROKEN &&
           outcome->flight->lane->route->backend->destination.http_version == 2;
}

/* Of a batch: its halves come next, or all of it once more: with nothing else on the
 * connection, or, where the backend seemed to be away, until others passed.
 * scope: where it failed, or NULL when the answer says that it is to blame. */
static void take_apart(const struct outcome *outcome, const struct scope *scope)
{
    struct flight *flight = outcome->flight;
    bool isolate = broke_with_others(outcome);
    bool whole =
        isolate ? !flight->isolated : scope && !may_be_its_fault(outcome->reply) && !flight->convicted;
    const struct half like = {
        .scope = isolate && whole ? NULL : scope, .passes = scope ? scope->passes : 0, .isolate = isolate};
    if (!flight->lane->halves)
        flight->lane->halves = xcalloc(1, sizeof *flight->lane->halves);
    halves_split(flight->lane->halves, flight->ids, flight->count, whole, &like);
}

/* Remembers the failure, so that a neighbour's pass can turn it into an attempt. */
static void remember(const struct outcome *outcome, const struct scope *scope)
{
    struct lane *lane = outcome->flight->lane;
    struct suspect *suspect = &lane->suspect;
    if (deliver_lanes_at(lane, 0)->id != outcome->flight->ids[0]) {
        suspect->unrelieved += may_be_its_fault(outcome->reply);
        return; /* a probe from behind the one that is suspected: that one stays */
    }
    if (suspect->id != outcome->flight->ids[0])
        deliver_suspect_clear(suspect);
    if (suspect->scope != scope || suspect->passes != scope->passes)
        suspect->unrelieved = 0;
    suspect->unrelieved += may_be_its_fault(outcome->reply);
    suspect->id = outcome->flight->ids[0];
    suspect->attempts = outcome->flight->attempts;
    suspect->isolate = broke_with_others(outcome);
    suspect->owed = !suspect->isolate || outcome->flight->isolated;
    suspect->scope = scope;
    suspect->passes = scope->passes;
    free(suspect->last.words);
    suspect->last = (struct failure){.status = outcome->reply->status,
                                     .words = xstrdup(outcome->words),
                                     .wall_ms = queue_now_ms(outcome->flight->deliver->queue)};
}

/* A transport failure is certain; an answer may be about one message, so it is
 * told only when a second one confirms it. */
static bool is_certain(const struct outcome *outcome, const struct scope *scope)
{
    enum transfer_failure failure = outcome->reply->failure;
    return scope->failures > 1 || (failure != TRANSFER_OK && failure != TRANSFER_BROKEN);
}

/* How it is now. A queue of which nobody knows yet how long it is has no number. */
static char *describe_outage(const struct outcome *outcome, const struct scope *scope, bool in_all,
                             int64_t wait_ms)
{
    return outage_text(&(struct outage){.state = scope->cause == VERDICT_AWAY ? "away" : "misconfigured",
                                        .since_ms = clock_wall_ms() - (outcome->now_ms - scope->since_ms),
                                        .why = outcome->words,
                                        .waiting = queue_waiting(outcome->flight->deliver->queue),
                                        .in_all = in_all,
                                        .probes = true,
                                        .wait_ms = wait_ms});
}

/* The first failure is told, or the second; then now and then how it still is, and
 * what is between only to those who debug. in_all: it is one of several. */
static void announce(const struct outcome *outcome, struct scope *scope, struct told *told, const char *kind,
                     const char *name, bool in_all, int64_t wait_ms)
{
    bool news = !scope->announced || scope->announced_cause != scope->cause;
    bool alarm = scope->announced && !scope->alarmed && outcome->now_ms - scope->since_ms >= ALARM_AFTER_MS;
    bool due = news ? is_certain(outcome, scope) : alarm || outcome->now_ms - told->at_ms >= AGAIN_AFTER_MS;
    if (told->before_ms != 0)
        scope->since_ms = told->before_ms;
    told->before_ms = 0;
    cleanup_free char *outage = describe_outage(outcome, scope, in_all, wait_ms);
    free(told->words);
    told->words = xstrdup(outcome->words);
    bool backend = strcmp(kind, "backend") == 0, away = scope->cause == VERDICT_AWAY;
    enum log_event event = backend ? (away ? EVENT_BACKEND_AWAY : EVENT_BACKEND_MISCONFIGURED)
                                   : (away ? EVENT_ROUTE_AWAY : EVENT_ROUTE_MISCONFIGURED);
    if (!due) {
        log_debug(event, "%s: %s", name, outage);
        return;
    }
    told->at_ms = outcome->now_ms;
    scope->announced = true;
    scope->announced_cause = scope->cause;
    scope->alarmed = scope->alarmed || alarm || scope->cause != VERDICT_AWAY;
    if (scope->alarmed && !(news && scope->cause == VERDICT_AWAY))
        log_error(event, "%s: %s", name, outage);
    else
        log_warning(event, "%s: %s", name, outage);
}

/* suspected: until now; otherwise it may have been before the configuration was read
 * again. */
static void tell_acquitted(const struct scope *scope, struct told *told, bool suspected, int64_t now_ms,
                           const char *kind, const char *name, const char *verb)
{
    int64_t since_ms = suspected && scope->announced ? scope->since_ms : told->before_ms;
    told->before_ms = 0;
    if (since_ms != 0)
        log_notice(strcmp(kind, "backend") == 0 ? EVENT_BACKEND_BACK : EVENT_ROUTE_BACK,
                   "%s: %s after %lld s", name, verb, (long long)(now_ms - since_ms) / 1000);
}

static void suspect_backend(const struct outcome *outcome, bool by_routes)
{
    struct backend_state *backend = outcome->flight->lane->route->backend;
    struct scope *scope = &backend->destination.scope;
    if (!destination_failed(&backend->destination, outcome->verdict, outcome->flight->backend_probe,
                            outcome->now_ms))
        return;
    backend->by_routes = by_routes;
    scope->firm = asks_to_wait(outcome->reply);
    int64_t wait_ms = backoff_for(outcome, scope->failures);
    scope_wait(scope, outcome->now_ms, wait_ms);
    announce(outcome, scope, &backend->told, "backend", backend->config->name,
             outcome->flight->deliver->config->backend_count > 1, wait_ms);
    deliver_wake_at(outcome->flight->deliver, scope->retry_at_ms);
}

static void suspect_route(const struct outcome *outcome)
{
    struct route_state *route = outcome->flight->lane->route;
    if (!scope_failed(&route->scope, VERDICT_MISCONFIGURED, outcome->flight->route_probe, outcome->now_ms))
        return;
    int64_t wait_ms = backoff_for(outcome, route->scope.failures);
    scope_wait(&route->scope, outcome->now_ms, wait_ms);
    announce(outcome, &route->scope, &route->told, "route", route->config->name,
             outcome->flight->deliver->config->route_count > 1, wait_ms);
    deliver_wake_at(outcome->flight->deliver, route->scope.retry_at_ms);
}

static bool another_route_is_suspected(const struct deliver *deliver, const struct route_state *than)
{
    for (size_t i = 0; i < deliver->config->route_count; i++) {
        const struct route_state *route = &deliver->routes[i];
        if (route != than && route->backend == than->backend && route->scope.suspected &&
            route->scope.announced)
            return true;
    }
    return false;
}

static void acquit_backend(const struct outcome *outcome, bool delivered)
{
    struct backend_state *backend = outcome->flight->lane->route->backend;
    unsigned probe = outcome->flight->backend_probe;
    bool suspected = delivered ? destination_passed(&backend->destination, probe)
                               : scope_acquit(&backend->destination.scope, probe);
    if (suspected || delivered)
        tell_acquitted(&backend->destination.scope, &backend->told, suspected, outcome->now_ms, "backend",
                       backend->config->name, "back");
}

/* A message that failed before, and whose failure counts by now, is tried again
 * for itself alone; its neighbours go on. */
static void own_fault(const struct outcome *outcome)
{
    struct lane *lane = outcome->flight->lane;
    lane->not_before_ms = outcome->now_ms + backoff_for(outcome, outcome->flight->attempts);
    deliver_wake_at(outcome->flight->deliver, lane->not_before_ms);
}

/* Whether this failure is evidence against its message, or batch. */
static bool is_evidence(const struct outcome *outcome)
{
    const struct flight *flight = outcome->flight;
    const struct suspect *suspect = &flight->lane->suspect;
    return flight->count > 1 ? may_be_the_batch(outcome->reply)
                             : suspect->id == flight->ids[0] && suspect->owed;
}

/* Away and misconfigured. */
static void on_scope_failure(const struct outcome *outcome)
{
    struct flight *flight = outcome->flight;
    struct route_state *route = flight->lane->route;
    bool whole_backend = outcome->verdict == VERDICT_AWAY || outcome->reply->failure != TRANSFER_OK;
    struct scope *scope = whole_backend ? &route->backend->destination.scope : &route->scope;

    /* It answers, so it is not away. */
    if (!whole_backend && !route->backend->by_routes)
        acquit_backend(outcome, false);
    if (flight->count == 1)
        remember(outcome, scope);
    else if (may_be_the_batch(outcome->reply))
        take_apart(outcome, scope);
    if (flight->convicted && is_evidence(outcome) && !scope->suspected && !asks_to_wait(outcome->reply)) {
        scope_unstarted(&route->scope, flight->route_probe);
        scope_unstarted(&route->backend->destination.scope, flight->backend_probe);
        if (flight->count == 1) /* what is smaller now needs not wait */
            own_fault(outcome);
        return;
    }
    if (whole_backend) {
        suspect_backend(outcome, false);
        scope_unstarted(&route->scope, flight->route_probe);
    } else {
        suspect_route(outcome);
        if (another_route_is_suspected(flight->deliver, route))
            suspect_backend(outcome, true);
        else
            scope_unstarted(&route->backend->destination.scope, flight->backend_probe);
    }
}

/* ---- messages ---- */

/* Such messages do not hold their route, for any device could hold it otherwise. */
static void tell_unfit(struct route_state *route, const char *reason)
{
    bool path = strcmp(reason, "path") == 0;
    if ((!path && strcmp(reason, "body") != 0) || ++route->unfit_in_row != ALARM_AFTER_UNFIT)
        return;
    log_error(
        EVENT_MESSAGES_UNFIT,
        "route %s: %u messages were dead-lettered (%s), and none was delivered meanwhile: is its %s right "
        "for these %s?",
        route->config->name, route->unfit_in_row, reason, path ? "path" : "body",
        path ? "topics" : "payloads");
}

enum { BURIED_TOLD_MOST = 20, BURIED_TELL_MS = 60 * 1000 }; /* so many each in a minute; then their number */

static void tell_how_many_buried(struct route_state *route, int64_t now_ms)
{
    if (route->buried == 0 || now_ms - route->buried_since_ms < BURIED_TELL_MS)
        return;
    if (route->buried > BURIED_TOLD_MOST)
        log_warning(EVENT_MESSAGE_DEAD,
                    "route %s: %u more messages within a minute; sluice queue ls --state dead lists them",
                    route->config->name, route->buried - BURIED_TOLD_MOST);
    route->buried = 0;
}

void deliver_tell(struct deliver *deliver)
{
    for (size_t i = 0; i < deliver->config->route_count; i++)
        tell_how_many_buried(&deliver->routes[i], clock_uptime_ms());
}

/* True when this one is to be told. */
static bool count_buried(struct route_state *route)
{
    int64_t now_ms = clock_uptime_ms();
    tell_how_many_buried(route, now_ms);
    if (route->buried == 0)
        route->buried_since_ms = now_ms;
    return ++route->buried <= BURIED_TOLD_MOST;
}

int deliver_bury(struct deliver *deliver, struct lane *lane, int64_t id, unsigned attempts, int status,
                 const char *reason, const char *error)
{
    struct message message;
    int result = queue_fetch(deliver->queue, id, &message);
    cleanup_free char *topic = xstrdup(result == 0 ? message.topic : "");
    queue_fetch_done(deliver->queue);
    deliver_note_first(deliver, lane, id);
    if (result == 0)
        result = queue_dead_letter(deliver->queue, id, attempts, status, reason, error,
                                   queue_now_ms(deliver->queue));
    if (result != 0 && result != -ENOENT)
        return result;
    if (result == 0) {
        deliver->metrics->dead++;
        tell_unfit(lane->route, reason);
        if (count_buried(lane->route))
            log_warning(EVENT_MESSAGE_DEAD, "message %lld (route %s, topic %s): %s: %s", (long long)id,
                        lane->route->config->name, topic, reason, error ? error : "no response is known");
    }
    deliver_lanes_remove(deliver, lane, id);
    return 0;
}

/* Returns whether it is set aside. When the storage does not take it, it is simply tried
 * again. */
static bool bury(const struct outcome *outcome, unsigned attempts, const char *reason)
{
    struct flight *flight = outcome->flight;
    int error = deliver_bury(flight->deliver, flight->lane, flight->ids[0], attempts, outcome->reply->status,
                             reason, outcome->words);
    if (error != 0)
        own_fault(outcome);
    return error == 0;
}

static void on_delivered(const struct outcome *outcome)
{
    struct flight *flight = outcome->flight;
    struct route_state *route = flight->lane->route;
    for (unsigned i = 0; i < flight->count; i++) {
        queue_settle(flight->deliver->queue, flight->ids[i], flight->may_come_again);
        deliver_lanes_remove(flight->deliver, flight->lane, flight->ids[i]);
    }
    flight->deliver->metrics->delivered += flight->count;
    acquit_backend(outcome, true);
    bool suspected = scope_passed(&route->scope, flight->route_probe);
    tell_acquitted(&route->scope, &route->told, suspected, outcome->now_ms, "route", route->config->name,
                   "passes again");
    route->condemned_in_row = 0;
    route->condemned_lanes = 0;
    route->unfit_in_row = 0;
    route->held = false;
    const char *type = outcome->reply->content_type;
    if (type && strncasecmp(type, "text/html", strlen("text/html")) == 0 && !route->html_seen) {
        route->html_seen = true;
        log_error(EVENT_RESPONSE_HTML,
                  "route %s: the response %d is a web page (text/html): is the URL of the backend right?",
                  route->config->name, outcome->reply->status);
    }
    deliver_settled(flight->deliver);
}

/* Ten different messages, of two lanes where two have work, and none delivered
 * between them. */
static bool too_many_in_row(const struct route_state *route)
{
    bool two_lanes = (route->condemned_lanes & (route->condemned_lanes - 1)) != 0;
    return route->condemned_in_row >= CONDEMNED_IN_ROW_MOST && (two_lanes || route->busy_lanes <= 1);
}

/* The answer condemns its message. When too many are condemned in a row, it is
 * not the messages: then the route is held, and goes on probing. */
static void condemn(const struct outcome *outcome, unsigned attempts, const char *reason)
{
    struct lane *lane = outcome->flight->lane;
    struct route_state *route = lane->route;
    if (!route->held && too_many_in_row(route)) {
        route->held = true;
        log_error(EVENT_ROUTE_HELD,
                  "%s: %u messages in a row were rejected, and none was delivered: no more are dead-lettered "
                  "until one is delivered; correct the route or the backend",
                  route->config->name, route->condemned_in_row);
    }
    if (route->held) {
        remember(outcome, &route->scope);
        if (lane->suspect.id == outcome->flight->ids[0])
            lane->suspect.owed = false; /* all are answered so: it is no evidence against this one */
        suspect_route(outcome);
        return;
    }
    /* This answer is not what the route was suspected for. */
    if (scope_acquit(&route->scope, outcome->flight->route_probe))
        tell_acquitted(&route->scope, &route->told, true, outcome->now_ms, "route", route->config->name,
                       "answers otherwise");
    if (!bury(outcome, attempts, reason))
        return;
    route->condemned_in_row++;
    route->condemned_lanes |= UINT64_C(1) << (lane - route->lanes);
}

/* Nobody is to blame for a body that is too long: it is made of less from now on. */
static void send_less(const struct outcome *outcome)
{
    struct flight *flight = outcome->flight;
    struct route_state *route = flight->lane->route;
    size_t half = flight->body_bytes / 2;
    if (half >= route->batch_bytes)
        return; /* said already, of a request that was under way as well */
    route->batch_bytes = half;
    log_notice(EVENT_BATCH_SIZE_REDUCED,
               "route %s: the backend refuses %zu bytes at once (413); batches have at most %zu from now on",
               route->config->name, flight->body_bytes, half);
}

static void on_later(const struct outcome *outcome)
{
    struct flight *flight = outcome->flight;
    if (flight->count > 1) {
        take_apart(outcome, NULL);
        return;
    }
    unsigned attempts = flight->attempts + 1;
    if (attempts >= flight->lane->route->backend->config->max_attempts) {
        condemn(outcome, attempts, "attempts");
        return;
    }
    scope_unstarted(&flight->lane->route->scope, flight->route_probe);
    flight->attempts = attempts;
    deliver_note_first(flight->deliver, flight->lane, flight->ids[0]);
    queue_blame(flight->deliver->queue, flight->ids[0], attempts, outcome->reply->status, outcome->words,
                queue_now_ms(flight->deliver->queue));
    own_fault(outcome);
}

static void on_bad(const struct outcome *outcome)
{
    if (outcome->flight->count == 1)
        condemn(outcome, outcome->flight->attempts, "rejected");
    else if (outcome->reply->status == 413)
        send_less(outcome);
    else
        take_apart(outcome, NULL);
}

/* ---- verdicts ---- */

/* NULL where nothing is missing. */
static const char *missing_words(const struct config_route *route, const struct config_backend *backend,
                                 const struct reply *reply)
{
    const char *words = route->expect_body ? route->expect_body : backend->expect_body;
    if (!words || reply->status / 100 != 2 || memmem(reply->body, reply->body_bytes, words, strlen(words)))
        return NULL;
    return words;
}

/* The table says what an answer means, then the configuration. */
static void judge(struct outcome *outcome)
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
        missing = outcome->verdict == VERDICT_DELIVERED ? missing_words(route, backend, reply) : NULL;
    }
    if (missing)
        outcome->verdict = VERDICT_MISCONFIGURED;
    if (outcome->verdict == VERDICT_DELIVERED)
        return;
    outcome->words = describe(outcome->flight, reply);
    if (missing) {
        char *words = outcome->words;
        outcome->words = xasprintf("the answer does not contain \"%s\": %s", missing, words);
        free(words);
    }
}

void deliver_answer(struct flight *flight, const struct reply *reply)
{
    fault_fails("deliver.answer");
    struct backend_state *backend = flight->lane->route->backend;
    struct outcome outcome = {
        .flight = flight,
        .reply = reply,
        .now_ms = clock_uptime_ms(),
    };
    judge(&outcome);
    destination_ended(&backend->destination, reply->http_version);
    if (flight->isolated)
        backend->isolated = false;
    switch (outcome.verdict) {
    case VERDICT_DELIVERED:
        on_delivered(&outcome);
        break;
    case VERDICT_AWAY:
    case VERDICT_MISCONFIGURED:
        on_scope_failure(&outcome);
        break;
    case VERDICT_LATER:
        acquit_backend(&outcome, false);
        on_later(&outcome);
        break;
    case VERDICT_BAD:
        acquit_backend(&outcome, false);
        on_bad(&outcome);
        break;
    }
    free(outcome.words);
}
