#include "unit.h"

#include "config/route_table.h"

#include <stdio.h>
#include <string.h>

static char *sensor_topics[] = {"garden/+/sensor", "house/#"};
static char *all_topics[] = {"#"};
static char *both_topics[] = {"garden/#", "garden/+/sensor"};
static char *state_topics[] = {"garden/+/state"};

enum { SENSOR, ALL, BOTH, STATE };
static struct config_route routes[] = {
    [SENSOR] = {.name = "sensor", .topics = {sensor_topics, 2}},
    [ALL] = {.name = "all", .topics = {all_topics, 1}},
    [BOTH] = {.name = "both", .topics = {both_topics, 2}},
    [STATE] = {.name = "state", .topics = {state_topics, 1}, .retained = CONFIG_RETAINED_YES},
};
static const struct config config = {.routes = routes, .route_count = ARRAY_LEN(routes)};

/* The distinct filters, in order. */
enum { GARDEN_SENSOR, HOUSE, EVERYTHING, GARDEN, GARDEN_STATE, FILTERS };

static int make_table(void **state)
{
    *state = route_table_new(&config);
    return 0;
}

static int free_table(void **state)
{
    route_table_free(*state);
    return 0;
}

#define NAMES_BYTES 200

static void note(void *context, size_t route)
{
    char *served = context;
    snprintf(served + strlen(served), NAMES_BYTES - strlen(served), "%s ", routes[route].name);
}

/* Subscribed to in the order of the configuration. */
static const uint32_t in_order[FILTERS] = {1, 2, 3, 4, 5};

/* The names of the routes that a copy serves, each with a space after it. */
static const char *served_by(struct route_table *table, const char *topic, bool retained,
                             const struct route_copy *copy)
{
    static char names[NAMES_BYTES];
    names[0] = '\0';
    route_table_serve(table, topic, retained, copy, note, names);
    return names;
}

static const char *served(struct route_table *table, const char *topic, bool retained, const size_t *filters,
                          size_t filter_count)
{
    const struct route_copy copy = {
        .filters = filters, .filter_count = filter_count, .ranks = filter_count > 0 ? in_order : NULL};
    return served_by(table, topic, retained, &copy);
}

static void filters_are_distinct_and_in_order(void **state)
{
    static const char *const expected[FILTERS] = {
        [GARDEN_SENSOR] = "garden/+/sensor", [HOUSE] = "house/#", [EVERYTHING] = "#", [GARDEN] = "garden/#",
        [GARDEN_STATE] = "garden/+/state",
    };
    assert_int_equal(route_table_filter_count(*state), FILTERS);
    for (size_t i = 0; i < FILTERS; i++) {
        assert_string_equal(route_table_filter(*state, i), expected[i]);
        assert_int_equal(route_table_find_filter(*state, expected[i]), i);
    }
    assert_true(route_table_find_filter(*state, "garden") == SIZE_MAX);
}

static void a_copy_for_all_filters_serves_every_route_once(void **state)
{
    assert_string_equal(served(*state, "garden/a/sensor", false, NULL, 0), "sensor all both ");
    assert_string_equal(served(*state, "garden/a/state", false, NULL, 0), "all both state ");
    assert_string_equal(served(*state, "house", false, NULL, 0), "sensor all ");
    assert_string_equal(served(*state, "elsewhere", false, NULL, 0), "all ");
    assert_string_equal(served(*state, "$SYS/x", false, NULL, 0), "");
}

/* The broker sends one copy for each subscription that matches; together they
 * must serve each route exactly once. */
static void copies_per_filter_serve_every_route_once(void **state)
{
    static const char *const topics[] = {"garden/a/sensor", "garden/a/state", "garden", "house/x",
                                         "elsewhere"};
    assert_string_equal(served(*state, topics[0], false, &(size_t){GARDEN_SENSOR}, 1), "sensor both ");
    assert_string_equal(served(*state, topics[0], false, &(size_t){EVERYTHING}, 1), "all ");
    assert_string_equal(served(*state, topics[0], false, &(size_t){GARDEN}, 1), "");
    for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
        char names[NAMES_BYTES] = "";
        for (size_t filter = 0; filter < FILTERS; filter++) {
            const struct route_copy copy = {.filters = &filter, .filter_count = 1, .ranks = in_order};
            route_table_serve(*state, topics[i], false, &copy, note, names);
        }
        const char *all = served(*state, topics[i], false, NULL, 0);
        assert_int_equal(strlen(names), strlen(all));
        for (size_t route = 0; route < ARRAY_LEN(routes); route++)
            assert_int_equal(strstr(names, routes[route].name) != NULL,
                             strstr(all, routes[route].name) != NULL);
    }
}

static void one_copy_for_several_filters_serves_each_route_once(void **state)
{
    const size_t filters[] = {GARDEN, GARDEN_SENSOR, EVERYTHING};
    assert_string_equal(served(*state, "garden/a/sensor", false, filters, 3), "sensor all both ");
    assert_string_equal(served(*state, "garden/a/sensor", false, filters, 2), "sensor both ");
}

/* Messages that waited at the broker while a filter was added before an older one
 * only come for the older one. */
static void the_oldest_subscription_serves(void **state)
{
    const uint32_t ranks[FILTERS] = {
        [GARDEN_SENSOR] = 9, [HOUSE] = 2, [EVERYTHING] = 3, [GARDEN] = 4, [GARDEN_STATE] = 8};
    const struct route_copy older = {.filters = &(size_t){GARDEN}, .filter_count = 1, .ranks = ranks};
    const struct route_copy newer = {.filters = &(size_t){GARDEN_SENSOR}, .filter_count = 1, .ranks = ranks};
    char names[NAMES_BYTES] = "";
    route_table_serve(*state, "garden/a/sensor", false, &older, note, names);
    assert_non_null(strstr(names, "both "));
    assert_null(strstr(served_by(*state, "garden/a/sensor", false, &newer), "both "));
}

/* What waited under a vanished filter serves the routes that no filter of that
 * time covered, and only those. */
static void a_vanished_filters_copy_serves_what_nothing_else_covered(void **state)
{
    const struct route_copy nothing_covered = {.ranks = in_order, .covered_to = 0};
    assert_string_equal(served_by(*state, "garden/a/sensor", false, &nothing_covered), "sensor all both ");
    const struct route_copy all_covered = {.ranks = in_order, .covered_to = FILTERS};
    assert_string_equal(served_by(*state, "garden/a/sensor", false, &all_covered), "");
    const struct route_copy sensor_covered = {.ranks = in_order, .covered_to = in_order[GARDEN_SENSOR]};
    assert_null(strstr(served_by(*state, "garden/a/sensor", false, &sensor_covered), "sensor "));
    assert_non_null(strstr(served_by(*state, "garden/a/sensor", false, &sensor_covered), "all "));
}

static void retained_messages_serve_only_routes_that_want_them(void **state)
{
    assert_string_equal(served(*state, "garden/a/state", true, NULL, 0), "state ");
    assert_string_equal(served(*state, "garden/a/state", true, &(size_t){GARDEN_STATE}, 1), "state ");
    assert_string_equal(served(*state, "garden/a/sensor", true, NULL, 0), "");
}

static void no_routes_serve_nothing(void **state)
{
    const struct config empty = {0};
    struct route_table *table = route_table_new(&empty);
    assert_int_equal(route_table_filter_count(table), 0);
    assert_string_equal(served(table, "a", false, NULL, 0), "");
    route_table_free(table);
    route_table_free(NULL);
}

/* Written down, not computed: a queue that was filled by another version must
 * find its topics in the same lanes. */
#define TEST(function) cmocka_unit_test_setup_teardown(function, make_table, free_table)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(filters_are_distinct_and_in_order),
        TEST(a_copy_for_all_filters_serves_every_route_once),
        TEST(copies_per_filter_serve_every_route_once),
        TEST(one_copy_for_several_filters_serves_each_route_once),
        TEST(the_oldest_subscription_serves),
        TEST(a_vanished_filters_copy_serves_what_nothing_else_covered),
        TEST(retained_messages_serve_only_routes_that_want_them),
        cmocka_unit_test(no_routes_serve_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
