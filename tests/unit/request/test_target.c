#include "unit.h"

#include "request/target.h"

#include <string.h>

static void targets(void **state)
{
    static const struct {
        const char *target;
        enum target_verdict verdict;
    } cases[] = {
        {"/api", TARGET_FINE},
        {"/api/", TARGET_FINE},
        {"/api?", TARGET_FINE},
        {"/api?user_key=k&x=//../%2e%2f%5c:@!$'()*,;|<>\"^`{}", TARGET_FINE},
        {"/api/collections/sensor?user_key=k", TARGET_FINE},
        {"/api/a.b/.c/..d/e../...", TARGET_FINE},
        {"/api/%20%41%25%2525%0a%C3%BC;v=1", TARGET_FINE},
        {"/api/x/", TARGET_FINE},
        {"/api?/..", TARGET_FINE},
        {"/api?%zz%", TARGET_FINE},

        {"/", TARGET_ELSEWHERE},
        {"/a", TARGET_ELSEWHERE},
        {"/ap", TARGET_ELSEWHERE},
        {"/apix", TARGET_ELSEWHERE},
        {"/api.x", TARGET_ELSEWHERE},
        {"/api%20", TARGET_ELSEWHERE},
        {"/api;x", TARGET_ELSEWHERE},
        {"/API/x", TARGET_ELSEWHERE},
        {"/%61pi/x", TARGET_ELSEWHERE},
        {"/x/api/y", TARGET_ELSEWHERE},
        {"/?/api/x", TARGET_ELSEWHERE},

        {"", TARGET_BAD},
        {"api/x", TARGET_BAD},
        {"*", TARGET_BAD},
        {"http://h/api/x", TARGET_BAD},
        {"?/api", TARGET_BAD},
        {"//api/x", TARGET_BAD},
        {"/api//x", TARGET_BAD},
        {"/api/x//", TARGET_BAD},
        {"/api/.", TARGET_BAD},
        {"/api/..", TARGET_BAD},
        {"/api/./x", TARGET_BAD},
        {"/api/../x", TARGET_BAD},
        {"/api/..?x", TARGET_BAD},
        {"/./api", TARGET_BAD},
        {"/..", TARGET_BAD},
        {"/api/%2e", TARGET_BAD},
        {"/api/%2E%2e/x", TARGET_BAD},
        {"/api/x%2fy", TARGET_BAD},
        {"/api/x%2Fy", TARGET_BAD},
        {"/api/x%5cy", TARGET_BAD},
        {"/api/x%5Cy", TARGET_BAD},
        {"/api/%00", TARGET_BAD},
        {"/api?%00", TARGET_BAD},
        {"/api/%", TARGET_BAD},
        {"/api/%2", TARGET_BAD},
        {"/api/%g0", TARGET_BAD},
        {"/api/x y", TARGET_BAD},
        {"/api/x\ty", TARGET_BAD},
        {"/api/x\r", TARGET_BAD},
        {"/api?x\ny", TARGET_BAD},
        {"/api/x\x7f", TARGET_BAD},
        {"/api/x\x80", TARGET_BAD},
        {"/api/x#y", TARGET_BAD},
        {"/api?x#y", TARGET_BAD},
        {"/api/x\\y", TARGET_BAD},
        {"/api?x\\y", TARGET_BAD},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *why = NULL;
        if (target_check(cases[i].target, strlen(cases[i].target), &why) != cases[i].verdict)
            fail_msg("%s: %s", cases[i].target, why ? why : "taken");
        assert_int_equal(why != NULL, cases[i].verdict == TARGET_BAD);
    }
    const char *why = NULL;
    assert_int_equal(target_check("/api/x\0y", 8, &why), TARGET_BAD);
    assert_int_equal(target_check("/api/%2e", 7, &why), TARGET_BAD); /* looks no further than it may */
    assert_int_equal(target_check("/api/xy", 6, &why), TARGET_FINE);
}

static struct config_pair pairs[] = {
    {.name = "user key", .value = "a&b"}, {.name = "x", .value = "1"}, {.name = "x", .value = "2"}};

static void urls(void **state)
{
    static const struct {
        const char *target, *url;
        size_t pairs;
    } cases[] = {
        {"/api", "https://h/in", 0},
        {"/api/", "https://h/in/", 0},
        {"/api/c?y=1", "https://h/in/c?y=1", 0},
        {"/api", "https://h/in?user%20key=a%26b&x=1&x=2", 3},
        {"/api?", "https://h/in?user%20key=a%26b", 1},
        {"/api?y", "https://h/in?y&user%20key=a%26b", 1},
        {"/api?y&", "https://h/in?y&user%20key=a%26b", 1},
        {"/api?y=what?", "https://h/in?y=what?&user%20key=a%26b", 1},
        /* The client's own stays alone, however it spells it. */
        {"/api?user%20key=mine", "https://h/in?user%20key=mine&x=1&x=2", 3},
        {"/api?user+key=", "https://h/in?user+key=&x=1&x=2", 3},
        {"/api?a=1&user%20ke%79", "https://h/in?a=1&user%20ke%79&x=1&x=2", 3},
        {"/api?a=x&userkey=1&user%20keys=1&y=user key",
         "https://h/in?a=x&userkey=1&user%20keys=1&y=user key&"
         "user%20key=a%26b&x=1&x=2",
         3},
        {"/api?x", "https://h/in?x&user%20key=a%26b", 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf url cleanup_buf;
        buf_init(&url, 1000);
        buf_append_text(&url, "https://h/in");
        target_append(&url, cases[i].target);
        target_append_query(&url, pairs, cases[i].pairs);
        assert_string_equal(buf_text(&url), cases[i].url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets),
        cmocka_unit_test(urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
