/* What is logged of an outage that lasts: the first failure, how it still is every
 * ten minutes, and the end. Hours pass at once: see deliver_world.h. */
#include "deliver/deliver_world.h"

#include "base/buf.h"
#include "queue/queue.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

enum { LINES_MOST = 64, MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS };

static struct {
    struct {
        int64_t at_ms;
        char text[200]; /* its level before it */
    } lines[LINES_MOST];
    unsigned count;
} heard;

static void hear(const char *level, const char *line)
{
    if (strcmp(level, "debug") == 0 || heard.count == LINES_MOST)
        return;
    heard.lines[heard.count].at_ms = world.now_ms;
    snprintf(heard.lines[heard.count++].text, sizeof heard.lines[0].text, "%s %s", level, line);
}

static void expect(unsigned number, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, heard.lines[number].text, 0, NULL, 0) != 0)
        fail_msg("line %u: %s", number, heard.lines[number].text);
    regfree(&regex);
}

static bool all_delivered(void)
{
    return world.messages[0].fate == DELIVERED && world.messages[1].fate == DELIVERED;
}

/* Two messages and an outage of so many minutes; the configuration is read again after
 * reload_min, if that is not 0. Returns how many lines the log has. */
static unsigned outlast(int status, int route, const char *more, int minutes, int reload_min)
{
    world_begin(1);
    memset(&heard, 0, sizeof heard);
    world.heard = hear;
    world.backends[0].outages[0] =
        (struct outage){0, minutes * MINUTE_MS, route, .response = {TRANSFER_OK, status, 0}};
    world.backends[0].outage_count = 1;
    cleanup_free char *text = xasprintf(
        "[backend b0]\nurl = https://b0.example/api\nretry_max = 20s\n[route r0]\ntopic = r0/+\n%s", more);
    world_configure(text, 0);
    if (reload_min > 0)
        world_configure(text, reload_min * MINUTE_MS);
    world_add(0, 0, 0);
    world_add(0, 1, 0);
    queue_upkeep(world.queue, true); /* counts what waits */
    world_run(all_delivered, 3 * HOUR_MS);
    world_end();
    return heard.count;
}

#define OUTAGE "since [0-9-]+ [0-9:]+ \\(%d\\), 2 messages waiting%s, next probe in [0-9]+ m?s$"

/* One line every ten minutes, each with the same beginning of the outage. */
static void check_reminders(unsigned count, const char *who, int status, const char *in_all, unsigned alarm)
{
    const char *since = strstr(heard.lines[0].text, " since ");
    assert_in_range(count, 15, 16);
    for (unsigned i = 0; i + 1 < count; i++) {
        cleanup_free char *pattern =
            xasprintf("^%s %s " OUTAGE, i < alarm ? "warning" : "error", who, status, in_all);
        expect(i, pattern);
        assert_memory_equal(strstr(heard.lines[i].text, " since "), since, strlen(" since 11-22 14:02:11"));
        int64_t least_ms = i == alarm ? MINUTE_MS : 10 * MINUTE_MS;
        if (i > 0)
            assert_in_range(heard.lines[i].at_ms - heard.lines[i - 1].at_ms, least_ms, 11 * MINUTE_MS);
    }
}

/* After an hour it is an alarm, which does not wait for its turn. */
static void a_backend_that_is_away_is_logged_every_ten_minutes(void **state)
{
    unsigned count = outlast(503, -1, "", 150, 0);
    check_reminders(count, "b0: away", 503, "", 6);
    expect(count - 1, "^notice b0: back after 90[0-9]{2} s$");
}

static void a_misconfigured_route_is_logged_every_ten_minutes(void **state)
{
    unsigned count = outlast(403, 0, "[route r1]\ntopic = r1/+\n", 150, 0);
    check_reminders(count, "r0: misconfigured", 403, " in all", 0);
    expect(count - 1, "^notice r0: passes again after 90[0-9]{2} s$");
}

/* A person corrects the key, and has the configuration read again. */
static void the_end_of_a_failure_is_logged_after_a_reload(void **state)
{
    assert_int_equal(outlast(403, 0, "", 25, 25), 4);
    expect(3, "^notice r0: passes again after 15[0-9]{2} s$");
    assert_int_equal(outlast(503, -1, "", 25, 25), 4);
    expect(3, "^notice b0: back after 15[0-9]{2} s$");
}

/* Then it is logged once more, with the time when it began. */
static void a_failure_that_a_reload_does_not_correct_keeps_its_beginning(void **state)
{
    assert_int_equal(outlast(503, -1, "", 20, 5), 4);
    const char *since = strstr(heard.lines[0].text, " since ");
    for (unsigned i = 1; i < 3; i++)
        assert_memory_equal(strstr(heard.lines[i].text, " since "), since, strlen(" since 11-22 14:02:11"));
    assert_in_range(heard.lines[1].at_ms, 5 * MINUTE_MS, 6 * MINUTE_MS);
    expect(3, "^notice b0: back after 12[0-9]{2} s$");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backend_that_is_away_is_logged_every_ten_minutes),
        cmocka_unit_test(a_misconfigured_route_is_logged_every_ten_minutes),
        cmocka_unit_test(the_end_of_a_failure_is_logged_after_a_reload),
        cmocka_unit_test(a_failure_that_a_reload_does_not_correct_keeps_its_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
