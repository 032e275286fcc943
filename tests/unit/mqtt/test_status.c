/* What is logged about a broker that is away: each reason once, how it still is every
 * ten minutes. The clock is the test's own, and so is the log. */
#include "unit.h"

#include "base/log.h"
#include "mqtt/internal.h"
#include "mqtt/status.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SECOND_MS = 1000, LINES_MOST = 64 };

static int64_t now_ms = 1000 * SECOND_MS;
static char lines[LINES_MOST][160];
static unsigned line_count;

static int64_t fake_clock_ms(clockid_t id)
{
    return now_ms + (id == CLOCK_REALTIME ? INT64_C(1795368000000) : 0);
}
#include "fake_clock.h"

void log_write(enum log_level level, enum log_event event, const char *format, ...)
{
    if (level != LOG_LEVEL_WARNING)
        return;
    va_list list;
    va_start(list, format);
    vsnprintf(lines[line_count++], sizeof lines[0], format, list);
    va_end(list);
    assert_true(line_count < LINES_MOST);
}

void log_init(enum log_level most)
{
}

bool log_enabled(enum log_level level)
{
    return false;
}

static void a_broker_that_is_away_is_told_of_every_ten_minutes(void **state)
{
    setenv("TZ", "UTC", 1);
    tzset();
    const struct config_broker broker = {.host = "pi", .port = 1883};
    struct mqtt mqtt = {.config = &broker};
    for (int64_t end_ms = now_ms + 3600 * SECOND_MS; now_ms < end_ms; now_ms += 30 * SECOND_MS)
        mqtt_report_away(&mqtt, "Connection refused", 30 * SECOND_MS);
    assert_int_equal(line_count, 6);
    for (unsigned i = 0; i < line_count; i++)
        assert_string_equal(lines[i],
                            "pi:1883: away since 11-22 17:36:40 (Connection refused), next try in 30 s");
    mqtt_report_away(&mqtt, "Network is unreachable", 30 * SECOND_MS);
    assert_string_equal(lines[6],
                        "pi:1883: away since 11-22 17:36:40 (Network is unreachable), next try in 30 s");
    assert_int_equal(line_count, 7);
    free(mqtt.why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broker_that_is_away_is_told_of_every_ten_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
