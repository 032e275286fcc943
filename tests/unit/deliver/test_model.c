/* test_deliver_model.c - a model check of the engine: random responses over random
 * backends, routes and topics. What must hold is in deliver_rules.c.
 *
 * MODEL_SEED=N runs that seed alone, MODEL_COUNT=N that many of them, MODEL_LOG=1 prints
 * everything that happens.
 */
#include "deliver/deliver_world.h"

#include "base/buf.h"
#include <stdlib.h>
#include <string.h>

enum {
    SEEDS = 150,
    WELL_MS = 60 * 1000,            /* from then on all backends are well */
    PATIENCE_MS = 24 * 3600 * 1000, /* until then everything must have come through */
};

static bool is_good(const struct world_message *message)
{
    return message->poison == POISON_NONE && !message->unfit;
}

static bool is_open(const struct world_message *message)
{
    return message->fate == WAITING && (is_good(message) || message->unfit);
}

/* All good messages are delivered, and those that cannot be sent are dead. Looking who is dead
 * takes time; only where all fails as it likes may a good message be. */
static bool is_all_over(void)
{
    bool over = world.arrived == world.message_count;
    for (unsigned i = 0; over && i < world.message_count; i++)
        over = !is_open(&world.messages[i]) || world.messages[i].unfit || !world.strict;
    if (over)
        rules_look();
    for (unsigned i = 0; over && i < world.message_count; i++)
        over = !is_open(&world.messages[i]);
    return over;
}

/* ---- liveness ---- */

/* From when on the backend of a message is well, and stays so. */
static int64_t well_since_ms(const struct world_message *message)
{
    const struct world_backend *backend = &world.backends[world_config()->routes[message->route].backend];
    int64_t since_ms = message->at_ms > message->returned_ms ? message->at_ms : message->returned_ms;
    since_ms = backend->noise_to_ms > since_ms ? backend->noise_to_ms : since_ms;
    for (unsigned i = 0; i < backend->outage_count; i++)
        since_ms = backend->outages[i].to_ms > since_ms ? backend->outages[i].to_ms : since_ms;
    for (unsigned i = 0; i < world.config_count; i++)
        since_ms = world.restart_ms[i] > since_ms ? world.restart_ms[i] : since_ms;
    return since_ms;
}

/* The bound: while its backend is well, a good message is delivered within a minute, the longest
 * waits between tries (one that began in an outage, one that the backend asked for, and some that
 * follow checks that met bad messages only), and the time that its backend takes for all its
 * messages one after the other, each bad one a dozen times, or until a time-out. */
static int64_t patience_ms(const struct world_message *message)
{
    unsigned number = world_config()->routes[message->route].backend;
    const struct config_backend *config = &world_config()->backends[number];
    const struct world_backend *backend = &world.backends[number];
    int64_t patience_ms = 60 * 1000 + 6 * 20000; /* retry_max at most */
    for (unsigned i = 0; i < world.message_count; i++) {
        const struct world_message *other = &world.messages[i];
        if (world_config()->routes[other->route].backend != number)
            continue;
        int64_t each_ms = other->poison == POISON_HANGS ? 30 * 1000 : backend->slow_ms;
        patience_ms += (is_good(other) ? 2 : 12) * each_ms;
        if (config->rate_per_s > 0)
            patience_ms += (is_good(other) ? 2 : 12) * 1000 / config->rate_per_s;
    }
    return patience_ms;
}

static void check_liveness(void)
{
    for (unsigned i = 0; i < world.message_count; i++) {
        const struct world_message *message = &world.messages[i];
        if (message->fate != DELIVERED || !is_good(message))
            continue;
        int64_t took_ms = message->delivered_ms - well_since_ms(message);
        if (took_ms > patience_ms(message))
            world_fail("message %u took %lld s, though its backend was well", i, (long long)took_ms / 1000);
    }
}

/* ---- scenarios ---- */

static int pick(const int *choices, size_t count)
{
    return choices[world_chance((unsigned)count)];
}

#define PICK(...) pick((const int[]){__VA_ARGS__}, ARRAY_LEN(((const int[]){__VA_ARGS__})))

/* What a scenario keeps over its restarts. */
struct shape {
    unsigned backends, routes;
    int attempts[BACKENDS_MOST];
    bool not_object_raw[ROUTES_MOST], levels[ROUTES_MOST];
    int body[ROUTES_MOST]; /* enum config_body */
    int batch[ROUTES_MOST];
};

static void add_backends(struct buf *text, const struct shape *shape)
{
    for (unsigned i = 0; i < shape->backends; i++) {
        buf_printf(text, "[backend b%u]\nurl = https://b%u.example/api\n", i, i);
        buf_printf(text, "max_in_flight = %d\nmax_connections = %d\n", PICK(1, 2, 8, 32), PICK(1, 2, 4));
        buf_printf(text, "retry_min = %dms\nretry_max = %dms\n", PICK(10, 100, 1000),
                   PICK(1000, 5000, 20000));
        buf_printf(text, "max_attempts = %d\n", shape->attempts[i]);
        if (world_chance(4) == 0)
            buf_printf(text, "rate = %d\n", PICK(5, 20, 100));
    }
}

static void add_routes(struct buf *text, const struct shape *shape)
{
    static const char *const orders[] = {"topic", "topic", "route", "none"};
    static const char *const bodies[] = {"raw", "json", "envelope"};
    for (unsigned i = 0; i < shape->routes; i++) {
        int batch = shape->batch[i];
        buf_printf(text, "[route r%u]\ntopic = r%u/+\nbackend = b%u\n", i, i, i % shape->backends);
        buf_printf(text, "path = %s\n", shape->levels[i] ? "/c/{2}" : "/c");
        buf_printf(text, "order = %s\nbody = %s\n", orders[world_chance(4)], bodies[shape->body[i]]);
        if (shape->body[i] == CONFIG_BODY_JSON)
            buf_printf(text, "not_object = %s\n", shape->not_object_raw[i] ? "raw" : "dead");
        if (shape->body[i] == CONFIG_BODY_RAW || batch == 0)
            continue;
        buf_printf(text, "batch = %d\nbatch_size = %dK\n", batch > 4 ? batch - (int)world_chance(3) : batch,
                   PICK(1, 4, 64));
        buf_printf(text, "batch_format = %s\n", world_chance(3) ? "array" : "ndjson");
        if (world_chance(3) == 0)
            buf_printf(text, "linger = %dms\n", PICK(2, 10, 300));
    }
}

static void configure(const struct shape *shape, int64_t at_ms)
{
    struct buf text cleanup_buf;
    buf_init(&text, 65536);
    add_backends(&text, shape);
    add_routes(&text, shape);
    world_configure(buf_text(&text), at_ms);
}

static void draw_shape(struct shape *shape)
{
    shape->backends = 1 + world_chance(BACKENDS_MOST);
    shape->routes = shape->backends + world_chance(ROUTES_MOST - shape->backends + 1);
    for (unsigned i = 0; i < shape->backends; i++)
        shape->attempts[i] = world.strict ? PICK(6, 10) : PICK(1, 2, 3, 10);
    for (unsigned i = 0; i < shape->routes; i++) {
        shape->body[i] = PICK(CONFIG_BODY_RAW, CONFIG_BODY_JSON, CONFIG_BODY_JSON, CONFIG_BODY_ENVELOPE);
        shape->batch[i] = PICK(0, 1, 2, 5, 16, 64, 64);
        shape->not_object_raw[i] = world_chance(2);
        shape->levels[i] = world_chance(2);
    }
}

static void draw_outages(struct world_backend *backend, const struct shape *shape)
{
    static const struct outage kinds[] = {
        {.response = {TRANSFER_OK, 500, 0}},
        {.response = {TRANSFER_OK, 503, 3}},
        {.response = {TRANSFER_OK, 502, 0}},
        {.response = {TRANSFER_OK, 429, 2}},
        {.response = {TRANSFER_OK, 403, 0}},
        {.response = {TRANSFER_OK, 404, 1}},
        {.response = {TRANSFER_UNREACHABLE, 0, 0}},
        {.response = {TRANSFER_BROKEN, 0, 0}},
        {.response = {TRANSFER_TLS, 0, 0}},
        {.response = {TRANSFER_OK, 503, 0}},
        {.response = {.failure = TRANSFER_UNREACHABLE}, .hangs = true},
    };
    backend->outage_count = world_chance(OUTAGES_MOST + 1);
    for (unsigned i = 0; i < backend->outage_count; i++) {
        struct outage *outage = &backend->outages[i];
        *outage = kinds[world_chance(ARRAY_LEN(kinds))];
        bool of_route = (outage->response.status == 403 || outage->response.status == 404) && world_chance(2);
        outage->route = of_route ? (int)world_chance(shape->routes) : -1;
        outage->from_ms = world_chance(3) ? world_chance(WELL_MS / 2) : 0;
        outage->to_ms = outage->from_ms + 1 + world_chance(world_chance(2) ? 500 : WELL_MS / 2);
    }
}

static void draw_backends(const struct shape *shape)
{
    for (unsigned i = 0; i < shape->backends; i++) {
        struct world_backend *backend = &world.backends[i];
        backend->http_version = 1 + world_chance(2);
        backend->slow_ms = PICK(1, 20, 200, 3000);
        if (world_chance(4) == 0)
            backend->body_most = (size_t)PICK(600, 3000);
        if (!world.strict) {
            backend->noise_percent = (unsigned)PICK(5, 20, 60);
            backend->noise_to_ms = WELL_MS;
        }
        draw_outages(backend, shape);
    }
}

static int draw_poison(void)
{
    return PICK(400, 400, 422, 409, 500, 500, 504, 403, 404, 507, POISON_BREAKS, POISON_HANGS);
}

/* Where the bad messages are. */
enum bad { SPREAD, BURST, HEADS };

static bool is_bad(enum bad bad, unsigned percent, unsigned at, unsigned topics)
{
    switch (bad) {
    case BURST: /* each topic's message of one moment */
        return percent > 0 && at / topics == 3;
    case HEADS:
        return percent > 0 && at < topics;
    case SPREAD:
        break;
    }
    return world_chance(100) < percent;
}

/* In installments. */
static void draw_messages(const struct shape *shape, unsigned bad_percent)
{
    unsigned count = 1 + world_chance(world_chance(3) ? 60 : 400),
             topics = 1 + world_chance(world_chance(4) ? 6 : 60);
    enum bad bad = (enum bad)PICK(SPREAD, SPREAD, BURST, HEADS);
    int one_kind = world_chance(2) ? draw_poison() : 0;
    int64_t at_ms = 0;
    for (unsigned i = 0; i < count; i++) {
        if (world_chance(20) == 0)
            at_ms += world_chance(world_chance(2) ? 50 : 5000);
        unsigned route = world_chance(shape->routes);
        struct world_message *message =
            world_add(route, bad == SPREAD ? world_chance(topics) : i % topics, at_ms);
        message->padding = world_chance(8) ? world_chance(40) : world_chance(400);
        if (is_bad(bad, bad_percent, i, topics))
            message->poison = one_kind ? one_kind : draw_poison();
        if (world_chance(25) == 0) {
            message->object = false;
            message->unfit = shape->body[route] == CONFIG_BODY_JSON && !shape->not_object_raw[route];
        }
        if (world_chance(60) == 0 && shape->levels[route]) {
            snprintf(message->topic, sizeof message->topic, "r%u/", route);
            message->key = LANES - 1;
            message->unfit = true;
        }
    }
    if (world_chance(4) == 0)
        world.remove_ms = 1 + world_chance(WELL_MS);
    if (world_chance(2) == 0)
        world.return_ms = 1 + world_chance(WELL_MS);
}

static void run_seed(uint64_t seed)
{
    struct shape shape;
    world_begin(seed);
    world.strict = world_chance(3) > 0;
    unsigned bad_percent = (unsigned)PICK(0, 2, 5, 30, 50);
    draw_shape(&shape);
    configure(&shape, 0);
    for (unsigned i = 0, restarts = world_chance(3) ? 0 : world_chance(CONFIGS_MOST); i < restarts; i++)
        configure(&shape, 5 + i * (WELL_MS / 4) + world_chance(WELL_MS / 4));
    draw_backends(&shape);
    draw_messages(&shape, bad_percent);
    world_run(is_all_over, PATIENCE_MS);
    check_liveness();
    world_end();
}

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void whatever_happens_the_rules_hold(void **state)
{
    uint64_t first = number_of("MODEL_SEED", 1),
             count = number_of("MODEL_COUNT", getenv("MODEL_SEED") ? 1 : SEEDS);
    for (uint64_t seed = first; seed < first + count; seed++)
        run_seed(seed);
}

/* ---- single stories ---- */

#define BACKEND_TEXT "[backend b0]\nurl = https://b0.example/api\n"
#define ROUTE_TEXT   "[route r0]\ntopic = r0/+\nbody = json\n"

static bool all_gone(void)
{
    bool gone = world.arrived == world.message_count;
    for (unsigned i = 0; i < world.message_count; i++)
        gone = gone && world.messages[i].fate != WAITING;
    return gone;
}

static bool all_good_gone(void)
{
    for (unsigned i = 0; i < world.message_count; i++)
        if (world.messages[i].fate <= WAITING && world.messages[i].poison == POISON_NONE)
            return false;
    return true;
}

/* Looks at the dead letters when nothing else waits. */
static bool all_gone_or_dead(void)
{
    if (!all_good_gone())
        return false;
    rules_look();
    return all_gone();
}

static unsigned count_of(enum fate fate)
{
    unsigned count = 0;
    for (unsigned i = 0; i < world.message_count; i++)
        count += world.messages[i].fate == fate;
    return count;
}

/* A backlog of one lane costs few requests, each bad message at most 2 * log2(100)
 * more. The rules see to the order. */
static void fifty_bad_ones_among_two_thousand(void **state)
{
    world_begin(1);
    world.strict = true;
    world_configure(BACKEND_TEXT ROUTE_TEXT "order = route\nbatch = 100\n", 0);
    for (unsigned i = 0; i < 2000; i++)
        world_add(0, i % 7, 0);
    for (unsigned bad = 0; bad < 50;) {
        struct world_message *message = &world.messages[world_chance(2000)];
        bad += message->poison == POISON_NONE;
        message->poison = 400;
    }
    world_run(all_gone_or_dead, WELL_MS);
    assert_int_equal(count_of(DELIVERED), 1950);
    assert_int_equal(count_of(DEAD), 50);
    assert_in_range(world.started, 20, 20 + 50 + 2 * 50 * 7);
    world_end();
}

static void a_backlog_leaves_in_full_batches(void **state)
{
    world_begin(1);
    world_configure(BACKEND_TEXT ROUTE_TEXT "order = route\nbatch = 100\n", 0);
    for (unsigned i = 0; i < 1000; i++)
        world_add(0, i % 7, 0);
    world_run(all_gone, WELL_MS);
    assert_int_equal(world.largest, 100);
    assert_in_range(world.started, 10, 11);
    world_end();
}

/* Time is the world's: these are exact. */
static void a_lone_message_leaves_at_once(void **state)
{
    world_begin(1);
    world_configure(BACKEND_TEXT ROUTE_TEXT "batch = 100\n", 0);
    world_add(0, 0, 1000);
    world_run(all_gone, WELL_MS);
    assert_int_equal(world.now_ms, 1001);
    world_end();
}

static void with_linger_others_may_join_it(void **state)
{
    world_begin(1);
    world_configure(BACKEND_TEXT ROUTE_TEXT "batch = 3\nlinger = 500ms\n", 0);
    world_add(0, 0, 1000);
    world_add(0, 0, 1400); /* leaves with the first */
    world_add(0, 0, 2000);
    world_add(0, 0, 2010);
    world_add(0, 0, 2020); /* that is enough */
    world_run(all_gone, WELL_MS);
    assert_int_equal(world.started, 2);
    assert_int_equal(world.now_ms, 2021);
    world_end();
}

static void a_rate_spreads_a_backlog(void **state)
{
    world_begin(1);
    world_configure(BACKEND_TEXT "rate = 20\n" ROUTE_TEXT "order = route\nbatch = 10\n", 0);
    for (unsigned i = 0; i < 120; i++)
        world_add(0, 0, 0);
    world_run(all_gone, WELL_MS);
    assert_in_range(world.now_ms, 5500, 5600); /* twelve batches, each half a second after the last */
    world_end();
}

/* 413 is no message's fault, and what the backend takes is remembered. */
static void too_long_bodies_become_shorter_once(void **state)
{
    world_begin(1);
    world.strict = true;
    world.backends[0].body_most = 3000;
    world_configure(BACKEND_TEXT ROUTE_TEXT "order = route\nbatch = 1000\nbatch_size = 64K\n", 0);
    for (unsigned i = 0; i < 1000; i++)
        world_add(0, 0, 0)->padding = 20;
    world_run(all_gone, WELL_MS);
    assert_int_equal(count_of(DELIVERED), 1000);
    assert_in_range(world.started - world.delivered, 2, 5);
    world_end();
}

static bool is_held(void)
{
    rules_look();
    return world.now_ms >= WELL_MS;
}

/* When everything is rejected it is not the messages: ten are dead-lettered, no more, and
 * it goes on by itself, also with dead-lettering. */
static void a_route_is_held_until_something_passes(void **state)
{
    world_begin(1);
    world.backends[0].outages[0] = (struct outage){0, WELL_MS, -1, .response = {TRANSFER_OK, 400, 0}};
    world.backends[0].outage_count = 1;
    world_configure(BACKEND_TEXT ROUTE_TEXT "batch = 10\n", 0);
    for (unsigned i = 0; i < 200; i++)
        world_add(0, i % 5, 0)->poison = i % 8 == 7 ? 422 : POISON_NONE;
    world_run(is_held, 2 * WELL_MS);
    assert_int_equal(count_of(DEAD), 10);
    world_resume(all_gone_or_dead, 100 * WELL_MS);
    assert_int_equal(count_of(DELIVERED) + count_of(DEAD), 200);
    assert_in_range(count_of(DEAD), 25, 35); /* all that are bad, and good ones among the ten */
    world_end();
}

/* Everything on the connection breaks with it, again and again: the others are innocent,
 * and all of them are tried with nothing else on the connection before anyone is blamed. */
static void who_breaks_the_connection_is_found_among_others(void **state)
{
    static const char *const texts[] = {
        BACKEND_TEXT "max_attempts = 1\nretry_min = 10ms\n" ROUTE_TEXT,
        BACKEND_TEXT "max_attempts = 2\nretry_min = 10ms\n" ROUTE_TEXT "batch = 16\n",
    };
    for (uint64_t seed = 1; seed <= 30; seed++) {
        world_begin(seed);
        world.strict = true;
        world.backends[0].slow_ms = 20;
        world_configure(texts[seed % 2], 0);
        for (unsigned i = 0; i < 200; i++) {
            struct world_message *message = world_add(0, world_chance(6), i < 150 ? 0 : 10 * i);
            if (world_chance(10) == 0)
                message->poison = world_chance(2) ? POISON_BREAKS : 400;
        }
        world_run(all_good_gone, 100 * WELL_MS);
        world_end();
    }
}

/* The other half of a batch that broke is alone on the connection as well, whatever became
 * of the first half meanwhile. */
static void both_halves_of_what_broke_are_alone(void **state)
{
    world_begin(1);
    world.strict = true;
    world.backends[0].slow_ms = 20;
    world_configure(BACKEND_TEXT "max_attempts = 2\nretry_min = 10ms\nretry_max = 100ms\n" ROUTE_TEXT
                                 "batch = 6\n[route r1]\ntopic = r1/+\n",
                    0);
    for (unsigned i = 0; i < 1500; i++) {
        if (i % 100 < 94) {
            world_add(1, i % 10, 2 * i);
            continue;
        }
        struct world_message *message = world_add(0, i / 100, 200 * (i / 100 + 1));
        message->poison = i % 100 == 94 ? POISON_BREAKS : i % 100 == 95 ? 500 : POISON_NONE;
    }
    world_run(all_good_gone, WELL_MS);
    world_end();
}

static bool is_after_six_hours(void)
{
    return world.now_ms >= 6 * 3600 * 1000;
}

/* Everything fails in the same way, for six hours, at default waits: nothing is blamed on a message,
 * and the backend gets few requests. */
static void hours_of_outage_cost_no_message_and_few_requests(void **state)
{
    static const struct response responses[] = {
        {TRANSFER_OK, 500, 0}, {TRANSFER_OK, 503, 0},   {TRANSFER_OK, 404, 0},
        {TRANSFER_OK, 429, 0}, {TRANSFER_BROKEN, 0, 0}, {TRANSFER_UNREACHABLE, 0, 0},
    };
    for (size_t kind = 0; kind < ARRAY_LEN(responses); kind++) {
        world_begin(1 + kind);
        world.strict = true;
        world.backends[0].outages[0] = (struct outage){0, 6 * 3600 * 1000, -1, .response = responses[kind]};
        world.backends[0].outage_count = 1;
        world_configure(BACKEND_TEXT ROUTE_TEXT "batch = 10\n[route r1]\ntopic = r1/+\n", 0);
        for (unsigned i = 0; i < 400; i++)
            world_add(i % 2, i % 20, 50 * 1000 * i);
        world_run(is_after_six_hours, 7 * 3600 * 1000);
        rules_look();
        assert_int_equal(count_of(WAITING), 400);
        for (unsigned i = 0; i < world.message_count; i++)
            assert_false(world.messages[i].deferred);
        assert_in_range(world.started, 50, 6 * 60 * 10);
        world_resume(all_gone, 7 * 3600 * 1000);
        assert_int_equal(count_of(DELIVERED), 400);
        world_end();
    }
}

/* Two linger when their backend is suspected: one of them is the probe, and the other
 * goes on lingering, not for ever. */
static void who_lingers_is_woken_after_a_suspicion(void **state)
{
    world_begin(1);
    world.backends[0].slow_ms = 1;
    world.backends[0].outages[0] = (struct outage){0, 1120, 1, .response = {TRANSFER_OK, 500, 0}};
    world.backends[0].outage_count = 1;
    world_configure(BACKEND_TEXT "retry_min = 100ms\n" ROUTE_TEXT "batch = 10\nlinger = 500ms\n"
                                 "[route r1]\ntopic = r1/+\n",
                    0);
    world_add(0, 0, 1000);
    world_add(0, 1, 1000);
    world_add(1, 0, 1110);
    world_run(all_gone, WELL_MS);
    assert_in_range(world.now_ms, 1120, 1510);
    world_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_message_leaves_at_once),
        cmocka_unit_test(a_backlog_leaves_in_full_batches),
        cmocka_unit_test(with_linger_others_may_join_it),
        cmocka_unit_test(a_rate_spreads_a_backlog),
        cmocka_unit_test(fifty_bad_ones_among_two_thousand),
        cmocka_unit_test(too_long_bodies_become_shorter_once),
        cmocka_unit_test(a_route_is_held_until_something_passes),
        cmocka_unit_test(who_breaks_the_connection_is_found_among_others),
        cmocka_unit_test(both_halves_of_what_broke_are_alone),
        cmocka_unit_test(hours_of_outage_cost_no_message_and_few_requests),
        cmocka_unit_test(who_lingers_is_woken_after_a_suspicion),
        cmocka_unit_test(whatever_happens_the_rules_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
