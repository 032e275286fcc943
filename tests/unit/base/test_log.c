#include "unit.h"

#include "base/log.h"
#include "base/repeat.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Standard error becomes a datagram socket, so that one write(2) comes out as
 * one datagram. */
static int standard_error, reader;

static int capture(void **state)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends))
        return -1;
    standard_error = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    reader = ends[0];
    unsetenv("JOURNAL_STREAM");
    log_init(LOG_LEVEL_INFO);
    return 0;
}

static int release(void **state)
{
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    close(reader);
    return 0;
}

/* The next line that was written, "" when there is none. */
static const char *next_line(void)
{
    static char line[16384];
    ssize_t got = recv(reader, line, sizeof(line) - 1, MSG_DONTWAIT);
    line[got > 0 ? got : 0] = '\0';
    return line;
}

/* The same without the time. */
static const char *next_text(void)
{
    const char *line = next_line();
    return strlen(line) > 25 ? line + 25 : line;
}

static void a_line_has_time_level_and_text(void **state)
{
    log_warning(EVENT_READY, "backend %s: away", "garden");
    const char *line = next_line();
    assert_int_equal(strlen(line), strlen("2026-11-22T17:33:16.123Z warning ready: backend garden: away\n"));
    assert_memory_equal(line, "20", 2);
    assert_memory_equal(line + 10, "T", 1);
    assert_string_equal(line + 23, "Z warning ready: backend garden: away\n");
    assert_string_equal(next_line(), "");
}

static void every_level_has_its_name(void **state)
{
    log_init(LOG_LEVEL_DEBUG);
    log_error(EVENT_READY, "x");
    assert_string_equal(next_text(), "error ready: x\n");
    log_warning(EVENT_READY, "x");
    assert_string_equal(next_text(), "warning ready: x\n");
    log_notice(EVENT_READY, "x");
    assert_string_equal(next_text(), "notice ready: x\n");
    log_info(EVENT_READY, "x");
    assert_string_equal(next_text(), "info ready: x\n");
    log_debug(EVENT_READY, "x");
    assert_string_equal(next_text(), "debug ready: x\n");
}

static void the_journal_gets_priorities_and_no_time(void **state)
{
    struct stat file;
    fstat(STDERR_FILENO, &file);
    cleanup_free char *stream =
        xasprintf("%llu:%llu", (unsigned long long)file.st_dev, (unsigned long long)file.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_init(LOG_LEVEL_DEBUG);
    log_error(EVENT_READY, "x");
    assert_string_equal(next_line(), "<3>ready: x\n");
    log_warning(EVENT_READY, "x");
    assert_string_equal(next_line(), "<4>ready: x\n");
    log_notice(EVENT_READY, "x");
    assert_string_equal(next_line(), "<5>ready: x\n");
    log_info(EVENT_READY, "x");
    assert_string_equal(next_line(), "<6>ready: x\n");
    log_debug(EVENT_READY, "x");
    assert_string_equal(next_line(), "<7>ready: x\n");
}

static void less_important_lines_are_left_out(void **state)
{
    assert_true(log_enabled(LOG_LEVEL_INFO));
    assert_false(log_enabled(LOG_LEVEL_DEBUG));
    log_debug(EVENT_READY, "x");
    assert_string_equal(next_line(), "");
    log_init(LOG_LEVEL_ERROR);
    log_warning(EVENT_READY, "x");
    assert_string_equal(next_line(), "");
    log_error(EVENT_READY, "x");
    assert_string_equal(next_text(), "error ready: x\n");
}

static void no_line_can_be_forged(void **state)
{
    static const struct {
        const char *text, *written;
    } cases[] = {
        {"a\nb\rc\td", "a\\x0ab\\x0dc\\x09d"},
        {"\x1b[2J\x7f", "\\x1b[2J\\x7f"},
        {"\xc2\x9b[2J", "\\xc2\\x9b[2J"}, /* CSI of ISO 6429 */
        {"Gem\xc3\xbcse \xe2\x82\xac \xf0\x9f\x8c\xb1", "Gem\xc3\xbcse \xe2\x82\xac \xf0\x9f\x8c\xb1"},
        {"\xff\xc3", "\\xff\\xc3"},                            /* no UTF-8 */
        {"\xc0\x8a\xed\xa0\x80", "\\xc0\\x8a\\xed\\xa0\\x80"}, /* overlong LF, surrogate */
        {"\xe2\x82\n", "\\xe2\\x82\\x0a"},                     /* cut off by a line feed */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *expected = xasprintf("info ready: %s\n", cases[i].written);
        log_info(EVENT_READY, "%s", cases[i].text);
        assert_string_equal(next_text(), expected);
        assert_string_equal(next_line(), "");
    }
}

static void a_long_message_is_cut_between_characters(void **state)
{
    for (size_t shift = 0; shift < 3; shift++) {
        cleanup_free char *text = xcalloc(1, 6000 + shift + 1);
        memset(text, 'x', shift);
        for (size_t i = 0; i < 6000; i += 3)
            memcpy(text + shift + i, "\xe2\x82\xac", 3);
        log_info(EVENT_READY, "%s", text);
        const char *line = next_text();
        size_t bytes = strlen(line);
        assert_in_range(bytes, 2000, 2100);
        assert_string_equal(line + bytes - 7, "\xe2\x82\xac...\n");
        assert_null(strchr(line, '\\'));
    }
    /* Also when every byte of it takes four. */
    cleanup_free char *controls = xcalloc(1, 6001);
    memset(controls, 1, 6000);
    log_info(EVENT_READY, "%s", controls);
    assert_in_range(strlen(next_text()), 8000, 8300);
    assert_string_equal(next_line(), "");
}

/* ---- repetitions ---- */

enum {
    EVENT_COUNT = 0
#define ONE_MORE(constant, name, meaning) +1
    LOG_EVENTS(ONE_MORE)
#undef ONE_MORE
};

static unsigned lines_until_now(void)
{
    unsigned count = 0;
    while (*next_line())
        count++;
    return count;
}

static void no_event_fills_the_log(void **state)
{
    unsigned unlimited = 0;
    for (size_t event = 0; event < EVENT_COUNT; event++) {
        unsigned count = 0;
        for (int i = 0; i < 100; i++) {
            log_error((enum log_event)event, "garden: %d", i);
            count += lines_until_now();
        }
        if (count == 100)
            unlimited++;
        else
            assert_int_equal(count, REPEAT_SUBJECT_LINES);
    }
    assert_int_equal(unlimited, 12); /* those that only a person, or the watchdog, causes */
    log_repetitions(true);
    assert_int_equal(lines_until_now(), EVENT_COUNT - 12);
}

static void what_is_left_out_is_summarised(void **state)
{
    for (int i = 1; i <= 20; i++)
        log_write(i == 11 ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, EVENT_BACKEND_AWAY, "garden: %d", i);
    assert_int_equal(lines_until_now(), REPEAT_SUBJECT_LINES);
    log_repetitions(false); /* the minute is not over */
    assert_string_equal(next_text(), "");
    log_repetitions(true);
    assert_string_equal(next_text(),
                        "warning backend-away: 15 more in the last minute, the last: garden: 20\n");
    log_repetitions(true);
    assert_string_equal(next_text(), "");
    log_notice(EVENT_BACKEND_AWAY, "garden: 21");
    assert_string_equal(next_text(), "notice backend-away: garden: 21\n");
    log_repetitions(true);
    assert_string_equal(next_text(), "");
}

static void a_log_of_all_details_has_all_lines(void **state)
{
    log_init(LOG_LEVEL_DEBUG);
    for (int i = 0; i < 100; i++) {
        log_notice(EVENT_BACKEND_AWAY, "garden: away");
        assert_string_equal(next_text(), "notice backend-away: garden: away\n");
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, capture, release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_line_has_time_level_and_text),
        TEST(every_level_has_its_name),
        TEST(the_journal_gets_priorities_and_no_time),
        TEST(less_important_lines_are_left_out),
        TEST(no_line_can_be_forged),
        TEST(a_long_message_is_cut_between_characters),
        TEST(no_event_fills_the_log),
        TEST(what_is_left_out_is_summarised),
        TEST(a_log_of_all_details_has_all_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
