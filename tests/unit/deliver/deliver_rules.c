/* deliver_rules.c - what must hold whatever happens: the model of the engine.
 *
 * It knows less than the engine does. Where it cannot know whether a scope is
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
        if (message->route != call->route || lane_of(call->members[i]) != call->lane)
            world_fail("message %u is in a request of another lane", call->members[i]);
        if (path_template_highest_level(route->path) > 0 && strcmp(message->topic, first->topic) != 0)
            world_fail("message %u is sent to the URL of another", call->members[i]);
        if (call->count > 1 && !message->object && route->body == CONFIG_BODY_JSON)
            world_fail("message %u is no object, and in a batch", call->members[i]);
    }
}

/* The one case in which a message may overtake: the first one of its lane failed
 * max_attempts times, and nothing passed meanwhile. */
static bool may_overtake(const struct call *call, const struct world_message *first)
{
    return call->count == 1 && first->in_row >= backend_config(call->backend)->max_attempts;
}

static bool is_ahead(const struct call *call, unsigned message)
{
    return world.messages[message].fate == WAITING && world.messages[message].route == call->route &&
           lane_of(message) == call->lane;
}

static void check_order(struct call *call)
{
    bool looked = false;
    for (unsigned i = 0, member = 0, first = UINT32_MAX; member < call->count; i++) {
        if (i == call->members[member]) {
            member++;
            continue;
        }
        if (i > call->members[member])
            world_fail("message %u comes after a younger one", call->members[member]);
        if (!is_ahead(call, i))
            continue;
        if (!looked)
            rules_look();
        looked = true;
        if (!is_ahead(call, i))
            continue;
        first = first == UINT32_MAX ? i : first;
        if (!may_overtake(call, &world.messages[first]))
            world_fail("message %u overtakes %u", call->members[member], i);
        call->overtakes = true;
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

/* Returns whether it is a probe. */
static bool check_doubt(struct doubt *doubt, const struct call *call, const char *what)
{
    if (!doubt->sure)
        return false;
    if (call->count != 1)
        world_fail("a probe of %u messages of a suspected %s", call->count, what);
    if (doubt->probes > 0)
        world_fail("two probes of a suspected %s", what);
    if (world.now_ms < doubt->not_before_ms)
        world_fail("a probe of a suspected %s, %lld ms too early", what,
                   (long long)(doubt->not_before_ms - world.now_ms));
    doubt->probes++;
    return true;
}

static void check_isolation(struct call *call)
{
    struct world_backend *backend = &world.backends[call->backend];
    if (backend->isolated)
        world_fail("a request joins one that must be alone");
    if (!world.messages[call->members[0]].broke || backend->doubt.maybe || call->overtakes)
        return;
    if (backend->in_flight > 0)
        world_fail("message %u joins others, though its connection broke", call->members[0]);
    call->isolated = backend->isolated = true;
}

void rules_start(struct call *call)
{
    struct world_route *route = &world.routes[call->route];
    call->lane = lane_of(call->members[0]);
    check_members(call);
    if (route->in_flight[call->lane])
        world_fail("two requests of lane %u of route %u", call->lane, call->route);
    check_order(call);
    check_budget(call);
    check_rate(call);
    check_isolation(call);
    call->backend_probe = check_doubt(&world.backends[call->backend].doubt, call, "backend");
    call->route_probe = check_doubt(&route->doubt, call, "route");
    route->in_flight[call->lane] = true;
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
    }
    for (unsigned i = 0; i < world.message_count; i++) {
        struct world_message *message = &world.messages[i];
        if (message->owed && config->routes[message->route].backend == call->backend) {
            message->counted++;
            message->owed = false;
        }
        if (message->route == call->route)
            message->in_row = 0;
    }
    world.backends[call->backend].opened++;
    world.routes[call->route].rejected = 0;
    world.routes[call->route].rejected_lanes = 0;
    world.delivered++;
}

/* Returns whether none of them failed before. */
static bool note_failure(const struct call *call, const struct response *response, enum blame blame)
{
    bool fresh = true;
    bool broke = response->failure == TRANSFER_BROKEN && world.backends[call->backend].known_version == 2;
    for (unsigned i = 0; i < call->count; i++) {
        struct world_message *message = &world.messages[call->members[i]];
        fresh = fresh && !message->failed;
        message->failed = true;
        /* of these nothing is held */
        message->broke = broke && !call->overtakes && !message->passed_by;
        message->passed_by = false;
        message->last_rejected = 0;
        if (call->count > 1)
            continue;
        message->in_row++;
        message->counted += blame == MESSAGE_LATER;
        message->owed = message->owed || blame == BACKEND || blame == ROUTE;
        message->last_rejected = blame == MESSAGE ? response->status : 0;
    }
    return fresh;
}

static void doubt_fails(struct doubt *doubt, const struct call *call, const struct response *response,
                        bool fresh, bool probe, bool can_be_firm)
{
    const struct config_backend *config = backend_config(call->backend);
    bool rest = response->failure == TRANSFER_OK && (response->status == 429 || response->retry_after_s > 0);
    if (rest)
        doubt->rest_since = world.started;
    if (!doubt->maybe && fresh && !doubt->sure) {
        doubt->sure = true;
        doubt->probes = 0;
        world.backends[call->backend].opened = can_be_firm ? 1 : world.backends[call->backend].opened;
    } else if (!probe || !doubt->sure || doubt->probes == 0) {
        doubt->maybe = true;
        return;
    }
    doubt->maybe = true;
    doubt->firm = rest && can_be_firm;
    doubt->probes = 0;
    int64_t wait_ms = config->retry_min_ms / 10, asked_ms = (int64_t)response->retry_after_s * 1000;
    wait_ms = asked_ms > wait_ms ? asked_ms : wait_ms;
    doubt->not_before_ms = world.now_ms + (wait_ms < config->retry_max_ms ? wait_ms : config->retry_max_ms);
}

/* Something else than the failure that is suspected. */
static void doubt_ends(struct doubt *doubt, const struct call *call, bool delivered, bool probe)
{
    if (doubt->sure && doubt->firm && !probe)
        return;
    doubt->sure = false;
    if (delivered && call->number > doubt->rest_since)
        doubt->maybe = false;
}

void rules_end(const struct call *call, const struct response *response)
{
    struct world_backend *backend = &world.backends[call->backend];
    struct world_route *route = &world.routes[call->route];
    enum blame blame = blame_of(response);
    backend->in_flight--;
    route->in_flight[call->lane] = false;
    if (call->isolated)
        backend->isolated = false;
    if (response->failure == TRANSFER_OK)
        backend->known_version = backend->http_version;
    for (unsigned i = 0; i < call->count; i++)
        world.messages[call->members[i]].in_flight = false;
    bool fresh = blame == NOBODY || note_failure(call, response, blame);
    if (blame == NOBODY)
        passed(call);
    if (blame == BACKEND) {
        doubt_fails(&backend->doubt, call, response, fresh, call->backend_probe, true);
        route->doubt.sure = false; /* it is not known whether it is the next probe's turn already */
    } else if (blame == ROUTE) {
        doubt_ends(&backend->doubt, call, false, call->backend_probe);
        doubt_fails(&route->doubt, call, response, fresh, call->route_probe, false);
        backend->doubt.maybe = true; /* where several routes show it */
    } else {
        doubt_ends(&backend->doubt, call, blame == NOBODY, call->backend_probe);
        doubt_ends(&route->doubt, call, blame == NOBODY, call->route_probe);
        backend->doubt.maybe |= blame != NOBODY;
        route->doubt.maybe |= blame != NOBODY;
    }
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
        world_fail("%u messages of a route in a row are dead-lettered", route->rejected);
    route->rejected_lanes |= UINT64_C(1) << call->lane;
}

void rules_restart(void)
{
    for (unsigned i = 0; i < BACKENDS_MOST; i++) {
        struct world_backend *backend = &world.backends[i];
        backend->known_version = backend->in_flight = backend->most_limit = 0;
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
        message->in_row = 0;
    }
}

/* Batches that were being taken apart start over, for it may belong into one. */
void rules_returned(struct world_message *message)
{
    message->fate = WAITING;
    message->failed = message->owed = false;
    message->counted = message->in_row = 0;
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
            world_fail("message %u could be sent, and is dead-lettered: %s", at, reason);
        return;
    }
    if (world.strict && message->poison == POISON_NONE)
        world_fail("message %u is good, and dead: %s", at, reason);
    if (strcmp(reason, "rejected") == 0
            ? message->last_rejected == 0
            : message->counted < backend_config((unsigned)route->backend)->max_attempts)
        world_fail("message %u is dead too early: %s, %u failures count", at, reason, message->counted);
}

void rules_look(void)
{
    static const char sql[] = "select id, reason from dead_letter";
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(world.eye, sql, -1, &statement, NULL), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        unsigned at = (unsigned)sqlite3_column_int(statement, 0) - 1;
        if (world.messages[at].fate != DEAD)
            check_death(at, (const char *)sqlite3_column_text(statement, 1));
    }
    sqlite3_finalize(statement);
}
