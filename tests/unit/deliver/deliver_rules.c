/* deliver_rules.c - what must hold whatever happens: the model of the engine.
 *
 * It knows less than the engine does. Where it cannot tell whether a scope is
 * suspected it says nothing; where it can (the first failure of a message that never
 * failed before, after something passed) it insists.
 */
#include "deliver/deliver_world.h"

#include <errno.h>
#include <string.h>

enum { REJECTED_MOST = 10 };

static const struct config_route *route_config(unsigned route)
{
    return &world_config()->routes[route];
}

static const struct config_backend *backend_config(unsigned backend)
{
    return &world_config()->backends[backend];
}

/* Few enough topics that each has a lane of its own. Without an order, neighbours share
 * one, as many as a batch has. */
static unsigned lane_of(unsigned message)
{
    const struct config_route *route = route_config(world.messages[message].route);
    unsigned block = route->batch > 0 ? route->batch : 1;
    switch (route->order) {
    case CONFIG_ORDER_TOPIC:
        return world.messages[message].key;
    case CONFIG_ORDER_ROUTE:
        return 0;
    default:
        return (message + 1) / block % LANES;
    }
}

/* ---- a request starts ---- */

static void check_members(const struct call *call)
{
    const struct config_route *route = route_config(call->route);
    const struct world_message *first = &world.messages[call->members[0]];
    if (call->count > (route->batch > 1 ? route->batch : 1))
        world_fail("%u messages in one request", call->count);
    if (call->count > 1 && call->body_bytes > (size_t)route->batch_size)
        world_fail("a batch of %zu bytes", call->body_bytes);
    for (unsigned i = 0; i < call->count; i++) {
        const struct world_message *message = &world.messages[call->members[i]];
        if (message->fate != WAITING || message->unfit)
            world_fail("message %u is sent, its fate is %d", call->members[i], message->fate);
        if (message->in_flight)
            world_fail("message %u is in flight twice", call->members[i]);
        if (message->route != call->route)
            world_fail("message %u is in a request of another route", call->members[i]);
        if (path_template_highest_level(route->path) > 0 && strcmp(message->topic, first->topic) != 0)
            world_fail("message %u is sent to the URL of another", call->members[i]);
        if (call->count > 1 && !message->object && route->body == CONFIG_BODY_JSON)
            world_fail("message %u is no object, and in a batch", call->members[i]);
    }
}

/* Whether a message stands before another one of its lane. */
static bool is_ahead(unsigned at, unsigned of)
{
    const struct world_message *message = &world.messages[at];
    return at < of && message->fate == WAITING && !message->deferred &&
           message->route == world.messages[of].route && lane_of(at) == lane_of(of);
}

static bool has_member(const struct call *call, unsigned at)
{
    for (unsigned i = 0; i < call->count; i++)
        if (call->members[i] == at)
            return true;
    return false;
}

/* Nothing overtakes, but for a check: while something failed and nothing passed since, another
 * message, or another part of the batch that failed, may be sent before those that failed. */
static void check_order(struct call *call)
{
    for (unsigned i = 0; i < call->count; i++) {
        unsigned member = call->members[i];
        if (i > 0 && member <= call->members[i - 1])
            world_fail("message %u comes after a younger one", member);
        if (call->deferred)
            continue;
        for (unsigned at = 0; at < member; at++) {
            if (!is_ahead(at, member) || has_member(call, at))
                continue;
            rules_look();
            bool check = world.backends[call->backend].doubt.maybe || world.routes[call->route].doubt.maybe;
            if (is_ahead(at, member) && !check)
                world_fail("message %u overtakes %u", member, at);
            call->overtakes = call->overtakes || is_ahead(at, member);
        }
    }
}

static void check_budget(const struct call *call)
{
    struct world_backend *backend = &world.backends[call->backend];
    const struct config_backend *config = backend_config(call->backend);
    unsigned limit = backend->known_version == 0   ? 1
                     : backend->known_version == 1 ? config->max_connections
                                                   : config->max_in_flight;
    backend->most_limit = limit > backend->most_limit ? limit : backend->most_limit;
    if (backend->doubt.maybe) {
        if (backend->in_flight > backend->most_limit)
            world_fail("%u requests in flight and one more", backend->in_flight);
        return;
    }
    limit = limit < backend->opened ? limit : backend->opened;
    if (backend->in_flight >= limit)
        world_fail("%u requests in flight and one more, the budget is %u", backend->in_flight, limit);
}

static void check_rate(const struct call *call)
{
    struct world_backend *backend = &world.backends[call->backend];
    unsigned rate = backend_config(call->backend)->rate_per_s;
    if (rate == 0)
        return;
    backend->tokens += (double)(world.now_ms - backend->tokens_ms) * rate / 1000;
    backend->tokens_ms = world.now_ms;
    if (backend->tokens > rate)
        backend->tokens = rate;
    backend->tokens -= call->count;
    if (backend->tokens < -1e-6)
        world_fail("too fast: %u messages", call->count);
}

/* A failed batch, its failed message, the probe, the checks, and some rounds after random waits that were
 * nearly nothing. */
enum { CHECKS_MOST = 80 };

/* While nothing passes, few requests start without a wait. */
static void check_doubt(struct doubt *doubt, const struct call *call, const char *what)
{
    int64_t wait_ms = backend_config(call->backend)->retry_min_ms / 10;
    bool waited = world.now_ms - doubt->last_ms >= wait_ms;
    doubt->last_ms = world.now_ms;
    if (!doubt->counts)
        return;
    if (call->count == 1) /* parts of a batch become smaller and smaller */
        doubt->burst = waited ? 1 : doubt->burst + 1;
    if (doubt->burst > CHECKS_MOST)
        world_fail("%u requests to a suspected %s without a wait", doubt->burst, what);
}

static void check_isolation(struct call *call)
{
    struct world_backend *backend = &world.backends[call->backend];
    if (backend->isolated)
        world_fail("a request joins one that must be alone");
    if (!world.messages[call->members[0]].broke || backend->doubt.maybe)
        return;
    if (backend->in_flight > 0)
        world_fail("message %u joins others, though its connection broke", call->members[0]);
    call->isolated = backend->isolated = true;
}

static unsigned count_lanes(const struct call *call)
{
    uint64_t lanes = 0;
    for (unsigned i = 0; i < call->count; i++)
        lanes |= UINT64_C(1) << lane_of(call->members[i]);
    return (unsigned)__builtin_popcountll(lanes);
}

/* A lane has one request in flight. Deferred messages left theirs, and have a share of the
 * budget. */
static void check_lanes(struct call *call)
{
    struct world_route *route = &world.routes[call->route];
    struct world_backend *backend = &world.backends[call->backend];
    if (call->deferred) {
        unsigned share = backend->opened / 4;
        if (call->count > 1)
            world_fail("deferred message %u is in a batch", call->members[0]);
        if (backend->deferred_in_flight++ > share && !backend->doubt.maybe)
            world_fail("%u deferred messages in flight", backend->deferred_in_flight);
        return;
    }
    for (unsigned i = 0; i < call->count; i++)
        if (route->in_flight[lane_of(call->members[i])])
            world_fail("two requests of lane %u of route %u", lane_of(call->members[i]), call->route);
    for (unsigned i = 0; i < call->count; i++)
        route->in_flight[lane_of(call->members[i])] = true;
    unsigned lanes = count_lanes(call);
    world.largest_lanes = lanes > world.largest_lanes ? lanes : world.largest_lanes;
}

void rules_start(struct call *call)
{
    struct world_route *route = &world.routes[call->route];
    rules_look();
    call->started_ms = world.now_ms;
    call->lane = lane_of(call->members[0]);
    call->deferred = world.messages[call->members[0]].deferred;
    check_members(call);
    check_lanes(call);
    check_order(call);
    check_budget(call);
    check_rate(call);
    check_isolation(call);
    check_doubt(&world.backends[call->backend].doubt, call, "backend");
    if (!world.backends[call->backend].doubt.maybe)
        check_doubt(&route->doubt, call, "route");
    world.backends[call->backend].in_flight++;
    for (unsigned i = 0; i < call->count; i++)
        world.messages[call->members[i]].in_flight = true;
}

/* ---- a request ends ---- */

enum blame { NOBODY, BACKEND, ROUTE, MESSAGE_LATER, MESSAGE };

/* DESIGN's table once more, for the statuses that scenarios use. */
static enum blame blame_of(const struct response *response)
{
    if (response->failure != TRANSFER_OK)
        return BACKEND;
    switch (response->status) {
    case 200:
        return NOBODY;
    case 403:
    case 404:
        return ROUTE;
    case 409:
        return MESSAGE_LATER;
    case 400:
    case 413:
    case 422:
        return MESSAGE;
    default:
        return BACKEND;
    }
}

static void passed(const struct call *call)
{
    const struct config *config = world_config();
    for (unsigned i = 0; i < call->count; i++) {
        struct world_message *message = &world.messages[call->members[i]];
        if (message->fate == WAITING)
            message->fate = DELIVERED;
        message->deferred = false;
        message->delivered_ms = world.now_ms;
    }
    for (unsigned i = 0; i < world.message_count; i++) {
        struct world_message *message = &world.messages[i];
        if (config->routes[message->route].backend == call->backend) {
            message->struck = message->struck || message->accused;
            message->accused = false;
        }
        if (message->owed && config->routes[message->route].backend == call->backend) {
            message->counted++;
            message->owed = false;
        }
    }
    world.backends[call->backend].opened++;
    world.routes[call->route].rejected = 0;
    world.routes[call->route].rejected_lanes = 0;
    world.delivered++;
}

/* Returns whether none of its messages failed before: then nobody knows of a message at fault. */
static bool note_failure(const struct call *call, const struct response *response, enum blame blame)
{
    bool fresh = true;
    bool broke = response->failure == TRANSFER_BROKEN && !call->hung &&
                 world.backends[call->backend].known_version == 2;
    for (unsigned i = 0; i < call->count; i++) {
        struct world_message *message = &world.messages[call->members[i]];
        fresh = fresh && !message->failed;
        message->failed = message->accused = true;
        /* of these nothing is held */
        message->broke = broke && !message->passed_by && !call->overtakes && blame == BACKEND;
        message->passed_by = false;
        message->last_rejected = 0;
        message->later = false;
        if (call->count > 1)
            continue;
        message->counted += blame == MESSAGE_LATER;
        message->later = blame == MESSAGE_LATER;
        message->owed = message->owed || blame == BACKEND || blame == ROUTE;
        message->last_rejected = blame == MESSAGE ? response->status : 0;
    }
    return fresh;
}

/* What was in flight when the doubt began says nothing new. */
static void doubt_fails(struct doubt *doubt, const struct call *call, bool fresh)
{
    doubt->maybe = true;
    if (doubt->began && call->started_ms < doubt->since_ms)
        return;
    if (!doubt->began) {
        doubt->began = true;
        doubt->burst = 1;
        doubt->since_ms = world.now_ms;
    }
    doubt->counts = doubt->counts || fresh;
}

void rules_end(const struct call *call, const struct response *response)
{
    struct world_backend *backend = &world.backends[call->backend];
    struct world_route *route = &world.routes[call->route];
    enum blame blame = blame_of(response);
    backend->in_flight--;
    if (call->deferred)
        backend->deferred_in_flight--;
    for (unsigned i = 0; !call->deferred && i < call->count; i++)
        route->in_flight[lane_of(call->members[i])] = false;
    if (call->isolated)
        backend->isolated = false;
    if (response->failure == TRANSFER_OK)
        backend->known_version = backend->http_version;
    for (unsigned i = 0; i < call->count; i++)
        world.messages[call->members[i]].in_flight = false;
    if (blame == NOBODY) {
        passed(call);
        backend->doubt = route->doubt = (struct doubt){.maybe = false};
        return;
    }
    bool fresh = note_failure(call, response, blame);
    if (blame == BACKEND)
        doubt_fails(&backend->doubt, call, fresh);
    else
        backend->doubt.began = backend->doubt.counts = false; /* it responds */
    if (blame == ROUTE)
        backend->doubt.maybe = true; /* several routes may show it */
    if (blame == ROUTE || (blame == MESSAGE && route->rejected >= REJECTED_MOST))
        doubt_fails(&route->doubt, call, fresh);
}

void rules_acted(const struct call *call, const struct response *response)
{
    enum blame blame = blame_of(response);
    struct world_route *route = &world.routes[call->route];
    const struct world_message *message = &world.messages[call->members[0]];
    if (call->count > 1 || blame < MESSAGE_LATER || message->fate != WAITING)
        return;
    rules_look();
    if (message->fate != DEAD)
        return;
    bool two_lanes = (route->rejected_lanes & (route->rejected_lanes - 1)) != 0;
    if (route->rejected++ >= REJECTED_MOST && two_lanes)
        world_fail("%u messages of a route in a row are set aside", route->rejected);
    route->rejected_lanes |= UINT64_C(1) << call->lane;
}

void rules_restart(void)
{
    for (unsigned i = 0; i < BACKENDS_MOST; i++) {
        struct world_backend *backend = &world.backends[i];
        backend->known_version = backend->in_flight = backend->most_limit = backend->deferred_in_flight = 0;
        backend->opened = 1;
        backend->isolated = false;
        backend->doubt = (struct doubt){0};
        backend->tokens_ms = world.now_ms;
        if (i < world_config()->backend_count)
            backend->tokens = backend_config(i)->rate_per_s;
    }
    memset(world.routes, 0, sizeof world.routes);
    for (unsigned i = 0; i < world.message_count; i++) {
        struct world_message *message = &world.messages[i];
        message->in_flight = message->failed = message->broke = message->owed = false;
        message->accused = message->struck = false;
    }
}

/* Batches that were being taken apart start over, for it may belong into one. */
void rules_returned(struct world_message *message)
{
    message->fate = WAITING;
    message->returned_ms = world.now_ms;
    message->failed = message->owed = false;
    message->counted = 0;
    message->deferred = message->later = false;
    message->last_rejected = 0;
    for (unsigned i = 0; i < world.message_count; i++) {
        world.messages[i].broke = false;
        world.messages[i].passed_by = world.messages[i].in_flight;
    }
}

/* ---- the dead ---- */

static void check_death(unsigned at, const char *reason)
{
    struct world_message *message = &world.messages[at];
    const struct config_route *route = route_config(message->route);
    if (message->fate != WAITING || message->in_flight)
        world_fail("message %u is dead, its fate was %d", at, message->fate);
    message->fate = DEAD;
    if (strcmp(reason, "path") == 0 || strcmp(reason, "body") == 0) {
        if (!message->unfit)
            world_fail("message %u could be sent, and is set aside: %s", at, reason);
        return;
    }
    if (world.strict && message->poison == POISON_NONE)
        world_fail("message %u is good, and dead: %s", at, reason);
    if (strcmp(reason, "rejected") == 0
            ? message->last_rejected == 0
            : message->counted < backend_config((unsigned)route->backend)->max_attempts)
        world_fail("message %u is dead too early: %s, %u failures count", at, reason, message->counted);
}

/* Deferred because it failed, others passed, and it failed again; or the backend said "later". */
static void check_deferral(unsigned at)
{
    struct world_message *message = &world.messages[at];
    message->deferred = true;
    if (!message->struck && !message->later)
        world_fail("message %u is deferred, though nothing passed after it failed", at);
}

static void each_row(const char *sql, void (*visit)(unsigned at, const char *text))
{
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(world.eye, sql, -1, &statement, NULL), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW)
        visit((unsigned)sqlite3_column_int(statement, 0) - 1,
              (const char *)sqlite3_column_text(statement, 1));
    sqlite3_finalize(statement);
}

static void visit_dead(unsigned at, const char *reason)
{
    if (world.messages[at].fate != DEAD)
        check_death(at, reason);
}

static void visit_deferred(unsigned at, const char *unused)
{
    if (!world.messages[at].deferred && world.messages[at].fate == WAITING)
        check_deferral(at);
}

/* What was rejected before a reload returns when its route passes again. */
static void visit_returned(unsigned at, const char *unused)
{
    if (world.messages[at].fate == DEAD)
        rules_returned(&world.messages[at]);
}

void rules_look(void)
{
    if (world.config > 0)
        each_row("select id, null from message", visit_returned);
    each_row("select id, reason from dead_letter", visit_dead);
    each_row("select id, null from message where deferred = 1", visit_deferred);
}
