#include "unit.h"

#include "base/base.h"
#include "text/nearest.h"

static void finds_the_word_that_was_meant(void **state)
{
    static const char *const known[] = {"host", "port", "keepalive", "username"};
    static const struct {
        const char *word;
        size_t index;
    } cases[] = {
        {"hots", 0},
        {"HOST", 0},
        {"prot", 1},
        {"keep_alive", 2},
        {"keepalife", 2},
        {"user", SIZE_MAX},
        {"usrname", 3},
        {"transform", SIZE_MAX},
        {"xyzzy", SIZE_MAX},
        {"a_word_that_is_longer_than_any_word_that_could_ever_have_been_meant_by_it", SIZE_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_true(nearest_find(cases[i].word, known, ARRAY_LEN(known)) == cases[i].index);
    assert_true(nearest_find("x", known, 0) == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_word_that_was_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
