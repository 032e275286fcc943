#include "unit.h"

#include "message/topic.h"

#include <string.h>

static void valid_filters_are_accepted(void **state)
{
    static const char *const cases[] = {
        "a",
        "/",
        "a/b/c",
        "#",
        "+",
        "a/#",
        "+/b/#",
        "/+",
        "a//b",
        "+/+",
        " a b ",
        "$SYS/#",
        "$share/g/a/+",
        "$share/g/#",
        "$share",
        "$shared/a",
        "gem\xc3\xbcse/+",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *why = "untouched";
        assert_true(topic_filter_valid(cases[i], &why));
        assert_string_equal(why, "untouched");
    }
}

static void invalid_filters_are_refused_with_the_reason(void **state)
{
    static const struct {
        const char *filter, *why;
    } cases[] = {
        {"", "it is empty"},
        {"a/#/b", "'#' must be the last level"},
        {"#/", "'#' must be the last level"},
        {"a#", "'#' must be a level of its own"},
        {"a/b#", "'#' must be a level of its own"},
        {"##", "'#' must be a level of its own"},
        {"a+/b", "'+' must be a level of its own"},
        {"a/+b/#", "'+' must be a level of its own"},
        {"\xff/a", "it is not valid UTF-8"},
        {"$share/g", "a shared subscription is $share/GROUP/FILTER"},
        {"$share/g/", "a shared subscription is $share/GROUP/FILTER"},
        {"$share//a", "a shared subscription is $share/GROUP/FILTER"},
        {"$share/+/a", "the group of a shared subscription must not contain '+' or '#'"},
        {"$share/g/a#", "'#' must be a level of its own"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *why = NULL;
        assert_false(topic_filter_valid(cases[i].filter, &why));
        assert_string_equal(why, cases[i].why);
    }
}

static void a_filter_has_at_most_65535_bytes(void **state)
{
    const char *why = NULL;
    cleanup_free char *filter = xcalloc(1, 65537);
    memset(filter, 'x', 65535);
    assert_true(topic_filter_valid(filter, &why));
    filter[65535] = 'x';
    assert_false(topic_filter_valid(filter, &why));
    assert_string_equal(why, "it is longer than 65535 bytes");
}

static void filters_match_as_mqtt_says(void **state)
{
    static const struct {
        const char *filter, *topic;
        bool matches;
    } cases[] = {
        /* The examples of MQTT 5.0, sections 4.7.1.2, 4.7.1.3 and 4.7.2. */
        {"sport/tennis/player1/#", "sport/tennis/player1", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
        {"sport/#", "sport", true},
        {"sport/tennis/+", "sport/tennis/player1", true},
        {"sport/tennis/+", "sport/tennis/player1/ranking", false},
        {"sport/+", "sport", false},
        {"sport/+", "sport/", true},
        {"+/+", "/finance", true},
        {"/+", "/finance", true},
        {"+", "/finance", false},
        {"#", "$SYS/a", false},
        {"+/monitor/Clients", "$SYS/monitor/Clients", false},
        {"$SYS/#", "$SYS/a", true},
        {"$SYS/monitor/+", "$SYS/monitor/Clients", true},
        /* Edges. */
        {"#", "a/b/c", true},
        {"#", "/", true},
        {"a", "a", true},
        {"a", "A", false},
        {"a", "ab", false},
        {"ab", "a", false},
        {"a/b", "a", false},
        {"a", "a/b", false},
        {"a/", "a", false},
        {"a", "a/", false},
        {"a//b", "a//b", true},
        {"a/+/b", "a//b", true},
        {"a/+/b", "a/b", false},
        {"+/#", "a", true},
        {"+/#", "a/b/c", true},
        {"a/+/#", "a", false},
        {"sport/#", "sports", false},
        {"sport/#", "sport/", true},
        {"a/$b/#", "a/$b/c", true},
        {"a/+", "a/$b", true},
        {"$share/g/a/+", "a/b", true},
        {"$share/g/a/+", "b/b", false},
        {"$share/g/#", "a/b", true},
        {"$share/g/#", "$SYS/a", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (topic_matches(cases[i].filter, cases[i].topic) != cases[i].matches)
            fail_msg("'%s' and '%s': expected %d", cases[i].filter, cases[i].topic, cases[i].matches);
}

static void levels_are_counted_from_one(void **state)
{
    static const struct {
        const char *topic;
        unsigned number;
        const char *level; /* NULL: there is none */
    } cases[] = {
        {"a/b/c", 1, "a"}, {"a/b/c", 3, "c"}, {"a/b/c", 4, NULL}, {"a/b/c", 0, NULL}, {"a//b", 2, ""},
        {"a//b", 3, "b"},  {"/a", 1, ""},     {"/a", 2, "a"},     {"a/", 2, ""},      {"a/", 3, NULL},
        {"a", 1, "a"},     {"a", 2, NULL},    {"a", 99, NULL},    {"", 1, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *level = NULL;
        size_t bytes = 4711;
        assert_int_equal(topic_level(cases[i].topic, cases[i].number, &level, &bytes),
                         cases[i].level != NULL);
        if (!cases[i].level) {
            assert_null(level);
            assert_int_equal(bytes, 4711);
            continue;
        }
        assert_int_equal(bytes, strlen(cases[i].level));
        assert_memory_equal(level, cases[i].level, bytes);
    }
}

static void a_filter_covers_another(void **state)
{
    static const struct {
        const char *wide, *narrow;
        bool covers;
    } cases[] = {
        {"a", "a", true},
        {"a", "b", false},
        {"a", "a/b", false},
        {"a/b", "a", false},
        {"+", "a", true},
        {"a", "+", false},
        {"+", "+", true},
        {"+", "a/b", false},
        {"#", "a", true},
        {"#", "a/+/c", true},
        {"#", "#", true},
        {"+", "#", false},
        {"a/#", "a", true},
        {"a/#", "a/b/c", true},
        {"a/#", "a/+", true},
        {"a/#", "a/#", true},
        {"a/#", "#", false},
        {"a/#", "+", false},
        {"a/#", "b/c", false},
        {"a", "a/#", false},
        {"a/+", "a/#", false},
        {"a/+", "a", false},
        {"a/+/c", "a/b/c", true},
        {"a/b/c", "a/+/c", false},
        {"+/b", "a/b", true},
        {"+/+", "a/+", true},
        {"a/+/#", "a", false},
        {"a/+/#", "a/b", true},
        {"#", "$SYS/a", false},
        {"+/a", "$SYS/a", false},
        {"$SYS/#", "$SYS/a", true},
        {"$SYS/#", "#", false},
        {"a/", "a/", true},
        {"a/+", "a/", true},
        {"a", "a/", false},
        {"ab", "a", false},
        {"a/#", "$share/g/a/b", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (topic_filter_covers(cases[i].wide, cases[i].narrow) != cases[i].covers)
            fail_msg("%s and %s", cases[i].wide, cases[i].narrow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_covers_another),
        cmocka_unit_test(valid_filters_are_accepted),
        cmocka_unit_test(invalid_filters_are_refused_with_the_reason),
        cmocka_unit_test(a_filter_has_at_most_65535_bytes),
        cmocka_unit_test(filters_match_as_mqtt_says),
        cmocka_unit_test(levels_are_counted_from_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
