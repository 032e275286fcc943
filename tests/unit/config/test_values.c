#include "config/config_text.h"

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* 0: refused */
    } cases[] = {
        {"10ms", 10},
        {"1s", 1000},
        {"90s", 90000},
        {"2m", 120000},
        {"1h", 3600000},
        {"060s", 60000},
        {"9ms", 0},
        {"61m", 0},
        {"1d", 0},
        {"1w", 0},
        {"0s", 0},
        {"", 0},
        {"30", 0},
        {"s", 0},
        {"1.5s", 0},
        {"1 s", 0},
        {"-1s", 0},
        {"+1s", 0},
        {"1S", 0},
        {"1sec", 0},
        {"1h30m", 0},
        {"0x10s", 0},
        {"1e3ms", 0},
        {"9223372036854775808ms", 0},
        {"99999999999999999999999999w", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *text =
            xasprintf("%sretry_max = 1d\nretry_min = %s\n%s", BACKEND, cases[i].text, ROUTE);

        if (cases[i].ms == 0) {
            expect_error(text, "4: retry_min ");
            continue;
        }
        struct config *config = parsed(text);
        assert_int_equal(config->backends[0].retry_min_ms, cases[i].ms);
        config_free(config);
    }
}

/* An error quotes the beginning of a long value, and whole characters of it. */
static void long_values_in_errors(void **state)
{
    char value[1000] = {0};
    memset(value, 'x', 199);
    for (size_t i = 199; i + 1 < sizeof(value); i += 2)
        memcpy(value + i, "\xc3\xa4", 2);
    cleanup_free char *text = xasprintf("%srate = %s\n%s", BACKEND, value, ROUTE);
    cleanup_free char *start = xasprintf("3: rate = %.199s...: must be a number", value);
    expect_error(text, start);
}

/* expect_body is looked for in the first 4096 bytes of a response. */
static void texts_have_a_limit(void **state)
{
    char value[4098] = {0};

    memset(value, 'x', 4097);
    cleanup_free char *too_long = xasprintf("%sexpect_body = %s\n%s", BACKEND, value, ROUTE);
    cleanup_free char *start = xasprintf("3: expect_body = %.200s...: must have at most 4096 bytes", value);
    expect_error(too_long, start);
    cleanup_free char *fits = xasprintf("%sexpect_body = %s\n%s", BACKEND, value + 1, ROUTE);
    config_free(parsed(fits));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations),
        cmocka_unit_test(texts_have_a_limit),
        cmocka_unit_test(long_values_in_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
