/* What a payload says of a reading's number. */
#include "unit.h"

#include "message/body_reading.h"

#include <errno.h>
#include <string.h>

static int parse(const char *payload, struct device_reading *ret)
{
    const char *why = NULL;
    int error = body_reading_parse(payload, strlen(payload), ret, &why);
    assert_true((error == -EINVAL) == (why != NULL));
    return error;
}

static void readings_are_understood(void **state)
{
    static const struct {
        const char *payload;
        struct device_reading reading;
    } cases[] = {
        {"{\"b\":131099,\"s\":17,\"lo\":16,\"age\":3,\"soil\":512}", {131099, 17, 16}},
        {" { \"lo\" : 1 , \"s\" : 1 , \"b\" : 0 } ", {0, 1, 1}},
        {"{\"b\":4294967295,\"s\":4294967295,\"lo\":4294967295,\"age\":4294967295}",
         {UINT32_MAX, UINT32_MAX, UINT32_MAX}},
        {"{\"b\":1e3,\"s\":2.0,\"lo\":2}", {1000, 2, 2}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct device_reading reading;
        assert_int_equal(parse(cases[i].payload, &reading), 0);
        assert_memory_equal(&reading, &cases[i].reading, sizeof reading);
    }
}

static void the_rest_is_ordinary(void **state)
{
    static const char *const cases[] = {"",
                                        "{}",
                                        "512",
                                        "[{\"b\":1,\"s\":1,\"lo\":1}]",
                                        "{\"soil\":512}",
                                        "{\"b\"",
                                        "\xff\xfe\xfd",
                                        "null",
                                        "{\"age\":\"old\"}",
                                        "{\"B\":1,\"S\":1,\"LO\":1}"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct device_reading reading = {1, 2, 3}, untouched = reading;
        assert_int_equal(parse(cases[i], &reading), -ENOENT);
        assert_memory_equal(&reading, &untouched, sizeof reading);
    }
}

static void wrong_members_are_told_from_none(void **state)
{
    static const char *const cases[] = {
        "{\"s\":1,\"lo\":1}",
        "{\"b\":1,\"lo\":1}",
        "{\"b\":1,\"s\":1}",
        "{\"b\":-1,\"s\":1,\"lo\":1}",
        "{\"b\":1,\"s\":-1,\"lo\":-1}",
        "{\"b\":1,\"s\":1.5,\"lo\":1}",
        "{\"b\":4294967296,\"s\":1,\"lo\":1}",
        "{\"b\":1e400,\"s\":1,\"lo\":1}",
        "{\"b\":\"1\",\"s\":1,\"lo\":1}",
        "{\"b\":1,\"s\":true,\"lo\":1}",
        "{\"b\":1,\"s\":null,\"lo\":1}",
        "{\"b\":1,\"s\":1,\"lo\":2}",
        "{\"b\":1,\"s\":0,\"lo\":0}",
        "{\"b\":1,\"s\":1,\"lo\":0}",
        "{\"b\":1,\"s\":1,\"lo\":1,\"age\":-5}",
        "{\"b\":1,\"s\":1,\"lo\":1,\"age\":\"old\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct device_reading reading = {1, 2, 3}, untouched = reading;
        assert_int_equal(parse(cases[i], &reading), -EINVAL);
        assert_memory_equal(&reading, &untouched, sizeof reading);
    }
}

/* A payload has no NUL behind it. */
static void a_payload_ends_where_it_ends(void **state)
{
    char *payload = malloc(21);
    struct device_reading reading;
    const char *why = NULL;
    memcpy(payload, "{\"b\":1,\"s\":12,\"lo\":12}", 21);
    assert_int_equal(body_reading_parse(payload, 21, &reading, &why), -ENOENT); /* cut off */
    memcpy(payload, "{\"b\":1,\"s\":2,\"lo\":1} ", 21);
    assert_int_equal(body_reading_parse(payload, 21, &reading, &why), 0);
    free(payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readings_are_understood),
        cmocka_unit_test(the_rest_is_ordinary),
        cmocka_unit_test(wrong_members_are_told_from_none),
        cmocka_unit_test(a_payload_ends_where_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
