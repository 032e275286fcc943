#include "unit.h"

#include "message/path.h"

#include <errno.h>
#include <string.h>

static void good_templates_expand(void **state)
{
    static const struct {
        const char *text, *topic, *path;
    } cases[] = {
        {"", "a/b", ""},
        {"/", "a/b", "/"},
        {"/collections/sensor", "a/b", "/collections/sensor"},
        {"/collections/{2}", "garden/wino/soil", "/collections/wino"},
        {"/{1}/{2}/", "a/b", "/a/b/"},
        {"/{1}{2}", "a/b", "/ab"},
        {"/{2}-{1}", "a/b", "/b-a"},
        {"/x{1}y.json", "a", "/xay.json"},
        {"/.{1}x", "a", "/.ax"},
        {"/...", "a", "/..."},
        {"/a.b/.c/..d", "a", "/a.b/.c/..d"},
        {"/%20%41;v=1,2&(x)!$'*+:@~_-", "a", "/%20%41;v=1,2&(x)!$'*+:@~_-"},
        {"/{10}", "1/2/3/4/5/6/7/8/9/ten/11", "/ten"},
        /* Whatever stands in a level stays within its segment. */
        {"/c/{2}", "a/%2e%2e", "/c/%252e%252e"},
        {"/c/{2}", "a/%2f", "/c/%252f"},
        {"/c/{2}", "a/x?y=1", "/c/x%3Fy%3D1"},
        {"/c/{2}", "a/x#y", "/c/x%23y"},
        {"/c/{2}", "a/x y", "/c/x%20y"},
        {"/c/{2}", "a/..\\..", "/c/..%5C.."},
        {"/c/{2}", "a/x\r\nHost: y", "/c/x%0D%0AHost%3A%20y"},
        {"/c/{2}", "a/\x01\x7f", "/c/%01%7F"},
        {"/c/{2}", "a/gem\xc3\xbcse", "/c/gem%C3%BCse"},
        {"/c/{2}", "a/...", "/c/..."},
        {"/c/{2}", "a/..;", "/c/..%3B"},
        {"/c/{2}{3}", "a/.x/.", NULL}, /* {3} is "." */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct path_template *path = NULL;
        cleanup_free char *why = NULL;
        cleanup_buf struct buf out;
        buf_init(&out, 1000);
        if (path_template_parse(cases[i].text, &path, &why) < 0)
            fail_msg("%s: %s", cases[i].text, why);
        int r = path_template_expand(path, cases[i].topic, &out, &why);
        path_template_free(path);
        if (!cases[i].path) {
            assert_int_equal(r, -EINVAL);
            continue;
        }
        assert_int_equal(r, 0);
        assert_string_equal(buf_text(&out), cases[i].path);
    }
}

static void bad_templates_are_refused(void **state)
{
    static const struct {
        const char *text, *words; /* words that the reason must contain */
    } cases[] = {
        {"collections", "start with '/'"},
        {"{1}", "start with '/'"},
        {"//", "'//'"},
        {"/a//b", "'//'"},
        {"/a/.", "'..'"},
        {"/./a", "'..'"},
        {"/..", "'..'"},
        {"/a/../b", "'..'"},
        {"/{1}.", "only dots and topic levels"},
        {"/.{2}", "only dots and topic levels"},
        {"/{1}.{2}/x", "only dots and topic levels"},
        {"/a/..{1}", "only dots and topic levels"},
        {"/a?b", "'?'"},
        {"/a#b", "'#'"},
        {"/a b", "%20"},
        {"/a\\b", "%5C"},
        {"/a\"b", "%22"},
        {"/a\tb", "0x09"},
        {"/\xc3\xbc", "0xC3"},
        {"/%", "two hexadecimal digits"},
        {"/%4", "two hexadecimal digits"},
        {"/%4x", "two hexadecimal digits"},
        {"/%{1}", "two hexadecimal digits"},
        {"/%2{1}", "two hexadecimal digits"},
        {"/%2e", "%2e"},
        {"/%2E%2E/x", "%2E"},
        {"/a%2fb", "%2f"},
        {"/a%2Fb", "%2F"},
        {"/a%5cb", "%5c"},
        {"/a%00", "%00"},
        {"/{", "{1} to {99}"},
        {"/}", "{1} to {99}"},
        {"/{}", "{1} to {99}"},
        {"/{0}", "{1} to {99}"},
        {"/{01}", "{1} to {99}"},
        {"/{100}", "{1} to {99}"},
        {"/{1", "{1} to {99}"},
        {"/{12", "{1} to {99}"},
        {"/{-1}", "{1} to {99}"},
        {"/{x}", "{1} to {99}"},
        {"/{1 }", "{1} to {99}"},
        {"/{{1}}", "{1} to {99}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct path_template *path = NULL;
        cleanup_free char *why = NULL;
        if (path_template_parse(cases[i].text, &path, &why) != -EINVAL)
            fail_msg("%s was accepted", cases[i].text);
        assert_null(path);
        if (!strstr(why, cases[i].words))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, why, cases[i].words);
    }
}

static void unusable_levels_are_refused(void **state)
{
    static const struct {
        const char *topic, *why;
    } cases[] = {
        {"a", "the topic has no level 2"},  {"a/", "topic level 2 is empty"},
        {"a//b", "topic level 2 is empty"}, {"a/.", "topic level 2 is '.'"},
        {"a/..", "topic level 2 is '..'"},  {"a/../b", "topic level 2 is '..'"},
    };
    struct path_template *path = NULL;
    char *why = NULL;
    assert_int_equal(path_template_parse("/c/{2}", &path, &why), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_buf struct buf out;
        buf_init(&out, 100);
        assert_int_equal(path_template_expand(path, cases[i].topic, &out, &why), -EINVAL);
        assert_string_equal(why, cases[i].why);
        free(why);
    }
    path_template_free(path);
}

static void levels_that_are_not_used_may_be_anything(void **state)
{
    struct path_template *path = NULL;
    char *why = NULL;
    cleanup_buf struct buf out;
    buf_init(&out, 100);
    assert_int_equal(path_template_parse("/c/{2}", &path, &why), 0);
    assert_int_equal(path_template_expand(path, "../b//..", &out, &why), 0);
    assert_string_equal(buf_text(&out), "/c/b");
    path_template_free(path);
}

static void it_appends_and_respects_the_limit(void **state)
{
    struct path_template *path = NULL;
    char *why = NULL;
    cleanup_buf struct buf out;
    buf_init(&out, 16);
    assert_int_equal(path_template_parse("/c/{1}", &path, &why), 0);
    assert_int_equal(buf_append_text(&out, "https://h"), 0);
    assert_int_equal(path_template_expand(path, "1234", &out, &why), 0);
    assert_string_equal(buf_text(&out), "https://h/c/1234");
    assert_int_equal(path_template_expand(path, "1", &out, &why), -EMSGSIZE);
    path_template_free(path);
    path_template_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_templates_expand),
        cmocka_unit_test(bad_templates_are_refused),
        cmocka_unit_test(unusable_levels_are_refused),
        cmocka_unit_test(levels_that_are_not_used_may_be_anything),
        cmocka_unit_test(it_appends_and_respects_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
