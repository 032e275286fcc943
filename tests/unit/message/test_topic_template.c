#include "unit.h"

#include "message/topic.h"
#include "message/topic_template.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void templates_are_told_from_other_text(void **state)
{
    static const char *const good[] = {"a", "garden/{2}/ack", "{1}/{99}", "ack-{1}{2}", "/", "\xc3\xbc/{1}"};
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "it is empty"},
        {"garden/+/ack", "it must not contain '+' or '#': a topic level is {1} to {99}"},
        {"#", "it must not contain '+' or '#': a topic level is {1} to {99}"},
        {"$SYS/{1}", "topics that begin with '$' belong to the broker"},
        {"a/{0}", "a reference is a topic level's number in braces, {1} to {99}"},
        {"a/{100}", "a reference is a topic level's number in braces, {1} to {99}"},
        {"a/{}", "a reference is a topic level's number in braces, {1} to {99}"},
        {"a/{1", "a reference is a topic level's number in braces, {1} to {99}"},
        {"a/1}", "a reference is a topic level's number in braces, {1} to {99}"},
        {"a/{topic}", "a reference is a topic level's number in braces, {1} to {99}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        const char *why = "untouched";
        assert_true(topic_template_valid(good[i], &why));
        assert_string_equal(why, "untouched");
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *why = NULL;
        assert_false(topic_template_valid(bad[i].text, &why));
        assert_string_equal(why, bad[i].why);
    }
}

static void it_stands_for_a_topic(void **state)
{
    static const struct {
        const char *text, *topic, *expected;
    } cases[] = {
        {"garden/{2}/ack", "garden/wino-1/sensor", "garden/wino-1/ack"},
        {"{3}{1}/x", "a/b/c", "ca/x"},
        {"{2}", "a//c", ""},
        {"plain", "a", "plain"},
        {"{4}", "a/b/c", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_buf struct buf out;
        buf_init(&out, 100);
        int error = topic_template_expand(cases[i].text, cases[i].topic, &out);
        assert_int_equal(error, cases[i].expected ? 0 : -ENOENT);
        if (cases[i].expected)
            assert_string_equal(buf_text(&out), cases[i].expected);
    }
    cleanup_buf struct buf small;
    buf_init(&small, 3);
    assert_int_equal(topic_template_expand("{1}", "long", &small), -EMSGSIZE);
    assert_int_equal(topic_template_highest_level("{3}/{12}/{1}"), 12);
    assert_int_equal(topic_template_highest_level("a"), 0);
}

static void its_filter(void **state)
{
    static const char *const cases[][2] = {{"garden/{2}/ack", "garden/+/ack"},
                                           {"ack-{1}", "+"},
                                           {"{1}/{2}", "+/+"},
                                           {"a", "a"},
                                           {"/{1}/", "/+/"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *filter = topic_template_filter(cases[i][0]);
        assert_string_equal(filter, cases[i][1]);
    }
}

static void filters_that_meet(void **state)
{
    static const struct {
        const char *one, *other;
        bool meet;
    } cases[] = {
        {"a", "a", true},
        {"a", "b", false},
        {"a", "a/b", false},
        {"a/#", "a", true},
        {"a/#", "a/b/c", true},
        {"a/#", "b/#", false},
        {"#", "a/b", true},
        {"#", "$SYS/a", false},
        {"+/a", "$SYS/+", false},
        {"$SYS/#", "$SYS/a", true},
        {"garden/+/sensor", "garden/+/ack", false},
        {"garden/+/sensor", "garden/+/+", true},
        {"garden/+/sensor", "+/wino/sensor", true},
        {"garden/+", "garden/+/ack", false},
        {"garden/+/#", "garden/+", true},
        {"+/+", "+", false},
        {"a/+/c", "a/b/#", true},
        {"$share/g/a/+", "a/b", true},
        {"a/bc", "a/b", false},
        {"a//c", "a/+/c", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(topic_filters_meet(cases[i].one, cases[i].other), cases[i].meet);
        assert_int_equal(topic_filters_meet(cases[i].other, cases[i].one), cases[i].meet);
    }
}

/* Against topic_matches, over all short topics of few letters. */
static void filters_meet_where_some_topic_matches_both(void **state)
{
    static const char *const levels[] = {"a", "b", "+", "#"};
    static const char *const topics[] = {"a",   "b",     "a/a",   "a/b",   "b/a",
                                         "b/b", "a/a/a", "a/a/b", "b/b/a", "b/a/b"};
    char filters[64][8];
    size_t count = 0;
    for (size_t i = 0; i < 4; i++) {
        snprintf(filters[count++], 8, "%s", levels[i]);
        for (size_t j = 0; j < 4 && i < 3; j++)
            snprintf(filters[count++], 8, "%s/%s", levels[i], levels[j]);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            bool some = false;
            for (size_t k = 0; k < ARRAY_LEN(topics); k++)
                some = some || (topic_matches(filters[i], topics[k]) && topic_matches(filters[j], topics[k]));
            if (topic_filters_meet(filters[i], filters[j]) != some)
                fail_msg("%s and %s", filters[i], filters[j]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_are_told_from_other_text),
        cmocka_unit_test(it_stands_for_a_topic),
        cmocka_unit_test(its_filter),
        cmocka_unit_test(filters_that_meet),
        cmocka_unit_test(filters_meet_where_some_topic_matches_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
