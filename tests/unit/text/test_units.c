/* Numbers, durations, sizes and times as text, and back. */
#include "unit.h"

#include "text/units.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

static void counts(void **state)
{
    char text[UNITS_BYTES];
    assert_string_equal(units_count(0, text), "0");
    assert_string_equal(units_count(999, text), "999");
    assert_string_equal(units_count(1000, text), "1,000");
    assert_string_equal(units_count(1234567, text), "1,234,567");
    assert_string_equal(units_count(-12345, text), "-12,345");
}

static void durations(void **state)
{
    char text[UNITS_BYTES];
    assert_string_equal(units_duration(0, text), "0 ms");
    assert_string_equal(units_duration(999, text), "999 ms");
    assert_string_equal(units_duration(40000, text), "40 s");
    assert_string_equal(units_duration(40999, text), "40 s");
    assert_string_equal(units_duration(125000, text), "2 min 5 s");
    assert_string_equal(units_duration(12000000, text), "3 h 20 min");
    assert_string_equal(units_duration(5 * 86400000LL + 3600000, text), "5 d 1 h");
    assert_string_equal(units_duration(7 * 86400000LL, text), "7 d");
}

static void sizes(void **state)
{
    char text[UNITS_BYTES];
    assert_string_equal(units_size(512, text), "512 bytes");
    assert_string_equal(units_size(4096, text), "4.1 kB");
    assert_string_equal(units_size(999960, text), "1.0 MB");
    assert_string_equal(units_size(1073741824, text), "1.1 GB");
    assert_string_equal(units_size(INT64_C(5000000000000000), text), "5000.0 TB");
}

static void times(void **state)
{
    char text[UNITS_BYTES];
    setenv("TZ", "UTC", 1);
    tzset();
    assert_string_equal(units_time(INT64_C(1795369000999), false, text), "2026-11-22 17:36:40");
    assert_string_equal(units_time(INT64_C(1795369000999), true, text), "11-22 17:36:40");
}

static void exact_durations_survive_a_round_trip(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {{"0s", 0},        {"250ms", 250},   {"30s", 30000},    {"90s", 90000},
                {"5m", 300000},   {"2h", 7200000},  {"3d", 259200000}, {"4w", INT64_C(2419200000)},
                {"1500ms", 1500}, {"25h", 90000000}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[UNITS_BYTES];
        int64_t ms = -1;
        assert_string_equal(units_exact_duration(rows[i].ms, text), rows[i].text);
        assert_int_equal(units_parse_duration(rows[i].text, &ms), 0);
        assert_int_equal(ms, rows[i].ms);
    }
}

static void exact_sizes_survive_a_round_trip(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } rows[] = {{"0", 0},
                {"100K", 102400},
                {"64M", 67108864},
                {"1025K", 1049600},
                {"3G", INT64_C(3221225472)},
                {"2T", INT64_C(2199023255552)}};
    char text[UNITS_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t bytes = -1;
        assert_string_equal(units_exact_size(rows[i].bytes, text), rows[i].text);
        assert_int_equal(units_parse_size(rows[i].text, &bytes), 0);
        assert_int_equal(bytes, rows[i].bytes);
    }
    assert_string_equal(units_exact_size(1000, text), "1000");
}

static void malformed_texts_have_an_error_each(void **state)
{
    static const char *const malformed[] = {"", "s", "-5s", "5 s", "5y", "1.5h", "5sx", " 5s", "+5s"};
    int64_t result = 7;
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++)
        if (units_parse_duration(malformed[i], &result) != -EINVAL ||
            units_parse_size(malformed[i], &result) != -EINVAL || result != 7)
            fail_msg("'%s' is accepted", malformed[i]);
    assert_int_equal(units_parse_duration("5", &result), -EDOM);
    assert_int_equal(units_parse_duration("0", &result), -EDOM);
    assert_int_equal(units_parse_size("5", &result), -EDOM);
    assert_int_equal(units_parse_duration("9223372036854775807ms", &result), 0);
    assert_int_equal(result, INT64_MAX);
    result = 7;
    assert_int_equal(units_parse_duration("9223372036854775808ms", &result), -ERANGE);
    assert_int_equal(units_parse_duration("99999999999999999999s", &result), -ERANGE);
    assert_int_equal(units_parse_size("9223372036854775807T", &result), -ERANGE);
    assert_int_equal(result, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(times),
        cmocka_unit_test(exact_durations_survive_a_round_trip),
        cmocka_unit_test(exact_sizes_survive_a_round_trip),
        cmocka_unit_test(malformed_texts_have_an_error_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
