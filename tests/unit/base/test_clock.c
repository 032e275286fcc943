#include "unit.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

static void the_clocks_agree_with_the_kernel(void **state)
{
    int64_t before = clock_uptime_ms(), wall = clock_wall_ms(), after = clock_uptime_ms();
    assert_true(before > 0);
    assert_true(after >= before);
    struct timespec now; /* time(2) is behind it, up to a tick of the kernel */
    clock_gettime(CLOCK_REALTIME, &now);
    assert_in_range(now.tv_sec - wall / 1000, 0, 60);
}

static void the_kernel_is_understood(void **state)
{
    static const struct {
        int result, status;
        long maxerror_us;
        enum clock_state state;
    } cases[] = {
        {TIME_OK, STA_PLL, 500, CLOCK_SYNCHRONISED},
        {TIME_INS, STA_PLL | STA_INS, 500, CLOCK_SYNCHRONISED},   /* a leap second is near */
        {TIME_ERROR, STA_UNSYNC, 16000000, CLOCK_UNSYNCHRONISED}, /* at boot, and after a step */
        {TIME_ERROR, STA_UNSYNC, 40000, CLOCK_UNFLAGGED},         /* chrony without rtcsync */
        {-1, 0, 0, CLOCK_DENIED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(clock_state_of(cases[i].result, cases[i].status, cases[i].maxerror_us),
                         cases[i].state);
}

static void the_epoch_is_what_both_clocks_say(void **state)
{
    struct clock_epoch epoch = clock_epoch();
    assert_in_range(epoch.ms + clock_uptime_ms() - clock_wall_ms() + 1000, 0, 2000);
    assert_int_equal(epoch.synchronised, clock_synchronised());
    assert_int_equal(epoch.synchronised,
                     clock_kernel_state() == CLOCK_SYNCHRONISED || clock_kernel_state() == CLOCK_UNFLAGGED);
    assert_false(epoch.trusted);
}

/* The last of the tests: it cannot be taken back. */
static void a_trusted_clock_is_right(void **state)
{
    clock_trust();
    assert_true(clock_synchronised());
    assert_true(clock_epoch().synchronised);
    assert_true(clock_epoch().trusted);
}

static void the_boot_id_is_a_uuid_and_stays(void **state)
{
    const char *id = clock_boot_id();
    assert_int_equal(strlen(id), 36);
    if (strncmp(id, "unknown-", 8))
        assert_int_equal(strspn(id, "0123456789abcdef-"), 36);
    assert_ptr_equal(clock_boot_id(), id);
}

static void times_are_written_as_rfc3339(void **state)
{
    static const struct {
        int64_t wall_ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-1000, "1969-12-31T23:59:59.000Z"},
        {1795368796123, "2026-11-22T17:33:16.123Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {INT64_C(4102444800000), "2100-01-01T00:00:00.000Z"}, /* beyond 32 bits */
        {INT64_C(-62135596800000), "0001-01-01T00:00:00.000Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[CLOCK_RFC3339_BYTES];
        clock_format_rfc3339(cases[i].wall_ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void all_three_forms_of_http_dates_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t wall_ms;
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777000},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777000},
        {"Sun Nov  6 08:49:37 1994", 784111777000},
        {"Sun, 22 Nov 2026 17:33:16 GMT", 1795368796000},
        {"Sunday, 22-Nov-26 17:33:16 GMT", 1795368796000},
        {"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800000},
        {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800000}, /* a leap second */
        {"Tue, 19 Jan 2038 03:14:08 GMT", INT64_C(2147483648000)},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t wall_ms = 0;
        assert_int_equal(clock_parse_http_date(cases[i].text, &wall_ms), 0);
        assert_int_equal(wall_ms, cases[i].wall_ms);
    }
}

static void what_is_no_http_date_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "120",
        "soon",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 08:49:37 GMT and more",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 19x4 08:49:37 GMT",
        "1994-11-06T08:49:37Z",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t wall_ms = 4711;
        assert_int_equal(clock_parse_http_date(cases[i], &wall_ms), -EINVAL);
        assert_int_equal(wall_ms, 4711);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clocks_agree_with_the_kernel),
        cmocka_unit_test(the_kernel_is_understood),
        cmocka_unit_test(the_epoch_is_what_both_clocks_say),
        cmocka_unit_test(the_boot_id_is_a_uuid_and_stays),
        cmocka_unit_test(times_are_written_as_rfc3339),
        cmocka_unit_test(all_three_forms_of_http_dates_are_read),
        cmocka_unit_test(what_is_no_http_date_is_refused),
        cmocka_unit_test(a_trusted_clock_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
