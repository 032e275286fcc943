/* The text that describes an outage. */
#include "unit.h"

#include "text/outage.h"

#include <stdlib.h>
#include <time.h>

static void expect(const struct outage *outage, const char *expected)
{
    cleanup_free char *text = outage_text(outage);
    assert_string_equal(text, expected);
}

static void every_known_fact_is_in_the_text(void **state)
{
    setenv("TZ", "UTC", 1);
    tzset();
    struct outage outage = {.state = "away",
                            .since_ms = INT64_C(1795369000000),
                            .why = "503: busy",
                            .waiting = 1312,
                            .probes = true,
                            .wait_ms = 40999};
    expect(&outage, "away since 11-22 17:36:40 (503: busy), 1,312 messages waiting, next probe in 40 s");
    outage.waiting = 1;
    outage.in_all = true;
    outage.wait_ms = 250;
    expect(&outage, "away since 11-22 17:36:40 (503: busy), 1 message waiting in all, next probe in 250 ms");
    outage.trying = true;
    expect(&outage, "away since 11-22 17:36:40 (503: busy), 1 message waiting in all, probing");
    outage.probes = false;
    outage.waiting = -1;
    expect(&outage, "away since 11-22 17:36:40 (503: busy), trying");
    outage.trying = false;
    expect(&outage, "away since 11-22 17:36:40 (503: busy), next try in 250 ms");
}

static void unknown_facts_are_left_out(void **state)
{
    expect(&(struct outage){.state = "connecting", .waiting = -1}, "connecting");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_known_fact_is_in_the_text),
        cmocka_unit_test(unknown_facts_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
