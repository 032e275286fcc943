#include "unit.h"

#include "message/reference.h"

#include <string.h>

static const char *parse(const char *text, struct reference *ret)
{
    return reference_parse(text, text + strlen(text), ret);
}

static void levels_are_read(void **state)
{
    static const struct {
        const char *text;
        unsigned level; /* 0: it is no reference to one */
    } cases[] = {
        {"{1}", 1},   {"{9}x", 9}, {"{10}", 10},        {"{99}{1}", 99}, {"{0}", 0},     {"{01}", 0},
        {"{100}", 0}, {"{}", 0},   {"{-1}", 0},         {"{1 }", 0},     {"{ 1}", 0},    {"{1", 0},
        {"{", 0},     {"", 0},     {"1}", 0},           {"}", 0},        {"{{1}}", 0},   {"{1x}", 0},
        {"{+1}", 0},  {"x{1}", 0}, {"{4294967297}", 0}, {"{key}", 0},    {"{topic}", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *end = "untouched";
        assert_int_equal(reference_parse_level(cases[i].text, &end), cases[i].level);
        assert_string_equal(end, cases[i].level == 0 ? "untouched" : strchr(cases[i].text, '}') + 1);
        struct reference reference = {0};
        if (cases[i].level == 0)
            continue;
        assert_ptr_equal(parse(cases[i].text, &reference), end);
        assert_int_equal(reference.kind, REFERENCE_LEVEL);
        assert_int_equal(reference.level, cases[i].level);
    }
}

static void names_are_read(void **state)
{
    static const struct {
        const char *text;
        enum reference_kind kind;
        bool number;
    } cases[] = {
#define CASE(kind, name, number, meaning) {"{" name "}", REFERENCE_##kind, number},
        REFERENCES(CASE)};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reference reference = {.level = 5};
        assert_string_equal(parse(cases[i].text, &reference), "");
        assert_int_equal(reference.kind, cases[i].kind);
        assert_int_equal(reference.level, 0);
        assert_int_equal(reference_is_bare(reference.kind), cases[i].number);
    }
    static const char *const others[] = {"{Topic}", "{topics}", "{topi}", "{topic", "{topic }", "topic}"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct reference reference = {.kind = REFERENCE_NONE};
        assert_null(parse(others[i], &reference));
        assert_int_equal(reference.kind, REFERENCE_NONE);
    }
}

static void what_stands_behind_the_end_is_not_read(void **state)
{
    static const char text[] = "{12}";
    struct reference reference;
    for (size_t bytes = 0; bytes < 4; bytes++)
        assert_null(reference_parse(text, text + bytes, &reference));
}

static void a_fault_names_what_there_is(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"{recieved_s}",
         "{recieved_s} is unknown; did you mean {received_s}? There are {1} to {99}, {topic}, "},
        {"{x y z}", "{x y z} is unknown; there are {1} to {99}, {topic}, "},
        {"{}", "{} is unknown; there are {1} to {99}, {topic}, "},
        {"{100}", "{100} is no topic level: they are {1} to {99}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *why = reference_fault(cases[i].text, cases[i].text + strlen(cases[i].text));
        if (strncmp(why, cases[i].why, strlen(cases[i].why)) != 0)
            fail_msg("%s: %s", cases[i].text, why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_read),
        cmocka_unit_test(names_are_read),
        cmocka_unit_test(what_stands_behind_the_end_is_not_read),
        cmocka_unit_test(a_fault_names_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
