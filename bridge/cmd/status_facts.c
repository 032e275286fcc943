/* cmd/status_facts.c - see cmd/status_facts.h. */
#include "cmd/status_facts.h"
#include "base/clock.h"
#include "cmd/args.h"
#include "cmd/client.h"
#include "cmd/problem.h"
#include "queue/admin/admin.h"
#include "text/filling.h"
#include "text/outage.h"
#include "text/units.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    LOST_SHOWN_MS = 7 * 24 * 3600 * 1000, /* how long it is a problem that messages may be missing */
    FIRST_CONNECT_S = 10,                 /* how long the first connection to the broker takes at most */
    PART_OF_MESSAGES = 10,                /* of an hour, or */
    PART_OF_DEAD = 5,                     /* so many dead letters: then their part is a problem */
};

/* ---- parts that fail ---- */

/* The broker, an [http], a backend and a route have the same names for these fields. */

bool status_part_works(const cJSON *part)
{
    const char *state = status_text(part, STATUS_SCOPE_STATE);
    return state &&
           (strcmp(state, "ok") == 0 || strcmp(state, "untried") == 0 || strcmp(state, "connected") == 0);
}

char *status_part_outage(const cJSON *part, bool probes, int64_t waiting, bool in_all)
{
    int64_t next_ms = status_time(part, STATUS_SCOPE_NEXT_TRY), wait_ms = next_ms - clock_wall_ms();
    bool probing = status_is(part, STATUS_SCOPE_PROBING);
    return outage_text(&(struct outage){.state = status_text(part, STATUS_SCOPE_STATE),
                                        .since_ms = status_time(part, STATUS_SCOPE_SINCE),
                                        .why = status_text(part, STATUS_SCOPE_WHY),
                                        .waiting = waiting,
                                        .in_all = in_all,
                                        .probes = probes,
                                        .trying = probing || (next_ms > 0 && wait_ms < 1000),
                                        .wait_ms = next_ms > 0 ? wait_ms : 0});
}

/* The messages that wait for a route, or for all routes of a backend; -1: unknown. */
static int64_t count_waiting(const struct status_facts *facts, const char *name, bool backend)
{
    const cJSON *route = status_first(facts->queue, STATUS_QUEUE_ROUTES);
    int64_t waiting = facts->queue ? 0 : -1;
    for (; route; route = route->next) {
        const char *of = status_text(route, STATUS_QUEUE_ROUTE_NAME);
        if (backend)
            of = status_text(status_find(facts->daemon, STATUS_ROUTES, STATUS_ROUTE_NAME, of),
                             STATUS_ROUTE_BACKEND);
        if (of && strcmp(of, name) == 0)
            waiting += status_number(route, STATUS_QUEUE_ROUTE_WAITING, 0);
    }
    return waiting;
}

/* ---- problems ---- */

static void judge_http(struct status_facts *facts)
{
    const cJSON *http = status_first(facts->daemon, STATUS_HTTP);
    for (; http; http = http->next) {
        const cJSON *address = status_first(http, STATUS_HTTP_LISTEN);
        for (; address; address = address->next)
            if (!status_is(address, STATUS_LISTEN_LISTENING))
                add_problem(facts, "http %s: sluice cannot listen there: %s",
                            status_text(address, STATUS_LISTEN_ADDRESS),
                            status_text(address, STATUS_LISTEN_WHY));
        const char *name = status_text(http, STATUS_HTTP_NAME);
        if (!status_part_works(http))
            add_problem(facts, "http%s%s: clients get 503 (%s)", *name ? " " : "", name,
                        status_text(http, STATUS_HTTP_WHY));
    }
}

/* Whether a person has not looked at a dead letter of this route, or the queue cannot be read. */
static bool has_unseen(const struct status_facts *facts, const char *route)
{
    bool unseen = !facts->queue;
    const cJSON *part = status_first(facts->queue, STATUS_DEAD_LETTERS);
    for (; part; part = part->next)
        unseen = unseen || (strcmp(status_text(part, STATUS_DEAD_ROUTE), route) == 0 &&
                            status_number(part, STATUS_DEAD_UNSEEN, 0) > 0);
    return unseen;
}

/* Only a route has these fields. One dead letter among a few messages says nothing of the route, and a
 * person who listed, retried or dropped them knows. */
static void judge_dead_part(struct status_facts *facts, const cJSON *route, const char *name)
{
    int64_t dead = status_number(route, STATUS_ROUTE_HOUR_DEAD, 0);
    int64_t all = dead + status_number(route, STATUS_ROUTE_HOUR_DELIVERED, 0);
    char dead_text[UNITS_BYTES], all_text[UNITS_BYTES];
    bool enough = all >= PART_OF_MESSAGES || dead >= PART_OF_DEAD;
    if (enough && dead * 10 > all && has_unseen(facts, name))
        add_problem(facts, "route %s: %s of %s messages in the last hour became dead letters", name,
                    units_count(dead, dead_text), units_count(all, all_text));
}

static void judge_scope(struct status_facts *facts, const cJSON *scope, const char *kind, const char *name)
{
    if (status_is(scope, STATUS_ROUTE_HELD))
        add_problem(facts,
                    "%s %s: too many messages in a row were rejected: no more are dead-lettered; correct the "
                    "route or the backend",
                    kind, name);
    judge_dead_part(facts, scope, name);
    if (status_part_works(scope))
        return;
    int64_t waiting = count_waiting(facts, name, strcmp(kind, "backend") == 0);
    cleanup_free char *outage = status_part_outage(scope, true, waiting, false);
    add_problem(facts, "%s %s: %s", kind, name, outage);
}

static void judge_session(struct status_facts *facts, const cJSON *broker)
{
    int64_t since_ms = status_time(broker, STATUS_BROKER_LOST_SINCE);
    int64_t until_ms = status_time(broker, STATUS_BROKER_LOST_UNTIL);
    char from[UNITS_BYTES], to[UNITS_BYTES];
    if (until_ms != 0 && clock_wall_ms() - until_ms < LOST_SHOWN_MS)
        add_problem(
            facts,
            "broker: it has forgotten sluice's session: messages published from %s to %s may be missing; "
            "see \"persistence\" in mosquitto.conf(5)",
            units_time(since_ms, true, from), units_time(until_ms, true, to));
}

static void judge_subscription(struct status_facts *facts, const cJSON *subscription)
{
    const char *filter = status_text(subscription, STATUS_SUBSCRIPTION_FILTER);
    const char *route = status_text(subscription, STATUS_SUBSCRIPTION_ROUTE);
    const char *why = status_text(subscription, STATUS_SUBSCRIPTION_WHY);
    int64_t retained = status_number(subscription, STATUS_SUBSCRIPTION_RETAINED, 0);
    char time[UNITS_BYTES], number[UNITS_BYTES];
    if (retained > 0)
        add_problem(
            facts,
            "route %s: %s retained message%s with the topic %s since the start, and none is forwarded. "
            "Say retained = no if this is right; with retained = yes, those that the broker sends from then "
            "on "
            "are forwarded (it sends these again only to a new filter, or when they are published again)",
            route, units_count(retained, number), retained == 1 ? "" : "s", filter);
    if (why)
        add_problem(facts, "route %s: the broker refuses the topic %s: %s", route, filter, why);
    else if (status_number(subscription, STATUS_SUBSCRIPTION_QOS, 1) < 1)
        add_problem(facts,
                    "route %s: the broker grants the topic %s QoS 0 only: messages can be lost between the "
                    "broker and sluice",
                    route, filter);
    else if (status_is(subscription, STATUS_SUBSCRIPTION_SILENT))
        add_problem(facts,
                    "route %s: no message matches the topic %s, though other messages came since %s: is it "
                    "spelt right, and does the broker's ACL allow sluice to read it? (silent_after)",
                    route, filter,
                    units_time(status_time(subscription, STATUS_SUBSCRIPTION_SILENT_SINCE), true, time));
}

static void judge_broker(struct status_facts *facts, const cJSON *broker)
{
    const char *host = status_text(broker, STATUS_BROKER_HOST);
    long long port = status_number(broker, STATUS_BROKER_PORT, 0);
    bool is_held_by_storage =
        strcmp(status_text(broker, STATUS_BROKER_STATE), "holding") == 0 && problem_find(facts, "storage");
    bool is_starting = strcmp(status_text(broker, STATUS_BROKER_STATE), "connecting") == 0 &&
                       status_number(facts->daemon, STATUS_DAEMON_SECONDS, 0) < FIRST_CONNECT_S;
    if (!status_part_works(broker) && !is_held_by_storage && !is_starting) {
        cleanup_free char *outage = status_part_outage(broker, false, -1, false);
        add_problem(facts, "broker %s:%lld: %s", host, port, outage);
    }
    if (status_is(broker, STATUS_BROKER_CLASH))
        add_problem(
            facts,
            "broker %s:%lld: it ends each connection soon after it has accepted it: does another client "
            "use client_id %s? Each client needs a client_id of its own",
            host, port, status_text(broker, STATUS_BROKER_CLIENT_ID));
    judge_session(facts, broker);
    const cJSON *subscription = status_first(broker, STATUS_SUBSCRIPTIONS);
    for (; subscription; subscription = subscription->next)
        judge_subscription(facts, subscription);
    const cJSON *ack = status_first(broker, STATUS_UNDELIVERED);
    for (; ack; ack = ack->next)
        add_problem(
            facts,
            "device %s: the broker does not deliver its acknowledgements (%s): the broker's ACL must allow "
            "sluice to write this topic, and the device must subscribe to it",
            status_text(ack, STATUS_UNDELIVERED_DEVICE), status_text(ack, STATUS_UNDELIVERED_WHY));
}

/* The messages may be lost: a person must look. */
static void judge_page(struct status_facts *facts, const cJSON *route)
{
    int64_t messages = status_number(route, STATUS_ROUTE_HTML_MESSAGES, 0);
    const char *text = status_text(route, STATUS_ROUTE_HTML_TEXT);
    char number[UNITS_BYTES], time[UNITS_BYTES];
    if (messages > 0)
        add_problem(facts,
                    "route %s: since %s, %s message%s delivered although the response was a web page (%s): "
                    "look whether the "
                    "backend has %s; then set expect_body, or html = ok if such a page is right",
                    status_text(route, STATUS_ROUTE_NAME),
                    units_time(status_time(route, STATUS_ROUTE_HTML_SINCE), true, time),
                    units_count(messages, number), messages == 1 ? " was" : "s were", text ? text : "",
                    messages == 1 ? "it" : "them");
}

static void judge_daemon(struct status_facts *facts)
{
    problem_of_configuration(facts);
    const cJSON *broker = status_get(facts->daemon, STATUS_BROKER);
    if (broker)
        judge_broker(facts, broker);
    judge_http(facts);
    const cJSON *scope = status_first(facts->daemon, STATUS_BACKENDS);
    for (; scope; scope = scope->next)
        judge_scope(facts, scope, "backend", status_text(scope, STATUS_BACKEND_NAME));
    scope = status_first(facts->daemon, STATUS_ROUTES);
    for (; scope; scope = scope->next)
        judge_scope(facts, scope, "route", status_text(scope, STATUS_ROUTE_NAME));
    for (scope = status_first(facts->daemon, STATUS_ROUTES); scope; scope = scope->next)
        judge_page(facts, scope);
}

static void judge_deferred(struct status_facts *facts)
{
    const cJSON *route = status_first(facts->queue, STATUS_QUEUE_ROUTES);
    for (; route; route = route->next) {
        int64_t deferred = status_number(route, STATUS_QUEUE_ROUTE_DEFERRED, 0);
        const char *why = status_text(route, STATUS_QUEUE_ROUTE_DEFERRED_WHY);
        char number[UNITS_BYTES];
        if (deferred > 0)
            add_problem(facts,
                        "route %s: %s message%s deferred (%s); sluice queue ls%s --state deferred lists %s",
                        status_text(route, STATUS_QUEUE_ROUTE_NAME), units_count(deferred, number),
                        deferred == 1 ? "" : "s", why ? why : "no response", facts->option,
                        deferred == 1 ? "it" : "them");
    }
}

/* What fills the queue; the caller frees it. */
static char *filling_of(const struct status_facts *facts)
{
    int64_t waiting = 0, dead = 0, bytes = 0;
    const cJSON *part = status_first(facts->queue, STATUS_QUEUE_ROUTES);
    for (; part; part = part->next)
        waiting += status_number(part, STATUS_QUEUE_ROUTE_WAITING, 0);
    for (part = status_first(facts->queue, STATUS_DEAD_LETTERS); part; part = part->next) {
        dead += status_number(part, STATUS_DEAD_MESSAGES, 0);
        bytes += status_number(part, STATUS_DEAD_BYTES, 0);
    }
    return filling_text(waiting, dead, bytes);
}

static void judge_problems(struct status_facts *facts)
{
    const cJSON *problem = problem_first(facts);
    for (; problem; problem = problem->next) {
        const char *name = status_text(problem, STATUS_PROBLEM_NAME);
        cleanup_free char *filling = strcmp(name, "full") == 0 ? filling_of(facts) : NULL;
        if (strcmp(name, "storage") != 0)
            add_problem(facts, "%s: %s%s%s", name, status_text(problem, STATUS_PROBLEM_DESCRIPTION),
                        filling ? "; " : "", filling ? filling : "");
    }
}

static void judge_unseen(struct status_facts *facts)
{
    int64_t unseen = 0;
    const cJSON *part = status_first(facts->queue, STATUS_DEAD_LETTERS);
    for (; part; part = part->next)
        unseen += status_number(part, STATUS_DEAD_UNSEEN, 0);
    char number[UNITS_BYTES];
    if (unseen > 0)
        add_problem(
            facts,
            "%s dead letter%s that nobody has looked at; sluice queue ls%s --state dead lists %s, and ends "
            "this line",
            units_count(unseen, number), unseen == 1 ? "" : "s", facts->option, unseen == 1 ? "it" : "them");
}

static void judge_queue(struct status_facts *facts)
{
    const cJSON *session = status_first(facts->queue, STATUS_SESSIONS);
    for (; session; session = session->next)
        problem_of_session_left(facts, session);
    judge_unseen(facts);
    const cJSON *route = status_first(facts->queue, STATUS_QUEUE_ROUTES);
    for (; facts->daemon && route; route = route->next) {
        const char *name = status_text(route, STATUS_QUEUE_ROUTE_NAME);
        int64_t waiting = status_number(route, STATUS_QUEUE_ROUTE_WAITING, 0);
        char number[UNITS_BYTES];
        if (!status_find(facts->daemon, STATUS_ROUTES, STATUS_ROUTE_NAME, name) &&
            !status_find(facts->daemon, STATUS_ROUTES, STATUS_ROUTE_FORMERLY, name))
            add_problem(facts,
                        "route %s: %s message%s held: the configuration does not have it. If it was "
                        "renamed, add the line formerly = %s to its section",
                        name, units_count(waiting, number), waiting == 1 ? " is" : "s are", name);
    }
    const cJSON *device = status_first(facts->queue, STATUS_DEVICES);
    for (; device; device = device->next)
        if (status_is(device, STATUS_DEVICE_SHARED))
            add_problem(facts,
                        "device %s: several devices seem to use this name: give each device its own name "
                        "and topic",
                        status_text(device, STATUS_DEVICE_NAME));
}

/* ---- facts ---- */

static void ask_daemon(struct status_facts *facts, const struct config_place *place)
{
    int error = client_status(place, &facts->daemon);
    facts->pid = queue_admin_holder(place->queue);
    /* Where the queue is in its place, its lock shows whether sluice runs. The socket alone does not: it may
     * be that of a container, which has another file of this name. */
    bool runs = facts->pid != 0 || access(place->queue, F_OK) != 0;
    facts->moved = error == -ENOENT && runs && client_listens(place->socket);
    if (error == 0)
        facts->pid = (pid_t)status_number(facts->daemon, STATUS_PID, facts->pid);
    else if (facts->pid != 0 || error == -EACCES || error == -EPERM || facts->moved)
        facts->no_daemon = client_why(error, place->socket, facts->pid);
}

static void read_queue(struct status_facts *facts, const struct config_place *place)
{
    struct queue_admin *admin = NULL;
    if (queue_admin_open(place->queue, false, &admin, &facts->no_queue) != 0)
        return;
    facts->queue = cJSON_CreateObject();
    if (queue_admin_facts(admin, facts->queue) != 0) {
        facts->no_queue = xstrdup(queue_admin_error(admin));
        cJSON_Delete(facts->queue);
        facts->queue = NULL;
    }
    queue_admin_close(admin);
}

void status_facts_find(struct status_facts *facts, const char *config_path, const struct config_place *place)
{
    *facts = (struct status_facts){.option = args_config(config_path)};
    ask_daemon(facts, place);
    read_queue(facts, place);
    problem_of_storage(facts);
    problem_of_owner(facts, place->queue);
    if (facts->no_queue && (facts->moved || facts->problem_count > 0)) { /* that is why */
        free(facts->no_queue);
        facts->no_queue = NULL;
    }
    if (facts->daemon)
        judge_daemon(facts);
    if (facts->queue) {
        judge_deferred(facts);
        judge_queue(facts);
    }
    judge_problems(facts);
}

void status_facts_add(struct status_facts *facts, const struct config_errors *problems)
{
    for (size_t i = 0; i < problems->count; i++)
        add_problem(facts, "%s", problems->lines[i]);
}

void status_facts_done(struct status_facts *facts)
{
    cJSON_Delete(facts->daemon);
    cJSON_Delete(facts->queue);
    free(facts->no_daemon);
    free(facts->no_queue);
    free(facts->option);
    for (size_t i = 0; i < facts->problem_count; i++)
        free(facts->problems[i]);
}

const char *status_facts_state(const struct status_facts *facts)
{
    return facts->daemon      ? status_text(facts->daemon, STATUS_DAEMON_STATE)
           : facts->no_daemon ? "no answer"
                              : "stopped";
}
