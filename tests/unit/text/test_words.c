/* Numbers, times and payloads as people read them. */
#include "unit.h"

#include "text/words.h"

#include <errno.h>
#include <string.h>

static void numbers(void **state)
{
    char text[WORDS_BYTES];
    assert_string_equal(words_number(0, text), "0");
    assert_string_equal(words_number(999, text), "999");
    assert_string_equal(words_number(1000, text), "1,000");
    assert_string_equal(words_number(1234567, text), "1,234,567");
    assert_string_equal(words_number(-12345, text), "-12,345");
}

static void durations(void **state)
{
    char text[WORDS_BYTES];
    assert_string_equal(words_duration(0, text), "0 ms");
    assert_string_equal(words_duration(999, text), "999 ms");
    assert_string_equal(words_duration(40000, text), "40 s");
    assert_string_equal(words_duration(40999, text), "40 s");
    assert_string_equal(words_duration(125000, text), "2 min 5 s");
    assert_string_equal(words_duration(12000000, text), "3 h 20 min");
    assert_string_equal(words_duration(5 * 86400000LL + 3600000, text), "5 d 1 h");
    assert_string_equal(words_duration(7 * 86400000LL, text), "7 d");
}

static void sizes(void **state)
{
    char text[WORDS_BYTES];
    assert_string_equal(words_size(512, text), "512 bytes");
    assert_string_equal(words_size(4096, text), "4.1 kB");
    assert_string_equal(words_size(999960, text), "1.0 MB");
    assert_string_equal(words_size(1073741824, text), "1.1 GB");
    assert_string_equal(words_size(INT64_C(5000000000000000), text), "5000.0 TB");
}

static void durations_are_parsed(void **state)
{
    static const char *const wrong[] = {"", "5", "s", "-5s", "5 s", "5y", "1.5h", "9999999999w", "5sx"};
    int64_t ms = 7;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (words_parse_duration(wrong[i], &ms) != -EINVAL || ms != 7)
            fail_msg("'%s' is taken for a duration", wrong[i]);
    assert_int_equal(words_parse_duration("250ms", &ms), 0);
    assert_int_equal(ms, 250);
    assert_int_equal(words_parse_duration("2h", &ms), 0);
    assert_int_equal(ms, 7200000);
    assert_int_equal(words_parse_duration("4w", &ms), 0);
    assert_int_equal(ms, INT64_C(2419200000));
}

static void expect_payload(const void *payload, size_t bytes, size_t columns, const char *expected)
{
    struct buf out cleanup_buf;
    buf_init(&out, 4096);
    words_append_payload(&out, payload, bytes, columns);
    assert_string_equal(buf_text(&out), expected);
    if (columns > 0)
        assert_true(words_columns(buf_text(&out)) <= columns);
}

#define TEXT(text) (text), sizeof(text) - 1

static void payloads_take_one_line(void **state)
{
    expect_payload(TEXT(""), 20, "");
    expect_payload(TEXT("{\"soil\":512}"), 12, "{\"soil\":512}");
    expect_payload(TEXT("{\"soil\":512}"), 11, "{\"soil\":...");
    expect_payload(TEXT("a\nb\tc\r"), 20, "a\\nb\\tc\\r");
    expect_payload(TEXT("gr\xc3\xbcn\xc3\xa4\xc3\xb6\xc3\xbc"), 7, "gr\xc3\xbcn\xc3\xa4\xc3\xb6\xc3\xbc");
    expect_payload(TEXT("gr\xc3\xbcn\xc3\xa4\xc3\xb6\xc3\xbc"), 6, "gr\xc3\xbc...");
    expect_payload(TEXT("1234567\n"), 8, "12345...");
    /* Wide ones take two columns, a combining one none. */
    expect_payload(TEXT("\xe6\xbc\xa2\xe5\xad\x97!"), 5, "\xe6\xbc\xa2\xe5\xad\x97!");
    expect_payload(TEXT("\xe6\xbc\xa2\xe5\xad\x97!"), 4, "...");
    expect_payload(TEXT("\xe6\xbc\xa2\xe5\xad\x97\xe5\xad\x97"), 5, "\xe6\xbc\xa2...");
    expect_payload(TEXT("e\xcc\x81t\xc3\xa9\xf0\x9f\x8c\xb1"), 5, "e\xcc\x81t\xc3\xa9\xf0\x9f\x8c\xb1");
    assert_int_equal(words_columns("\xff\xe6\xbc\xa2"), 3);
}

static void what_drives_a_terminal_is_hexadecimal(void **state)
{
    expect_payload(TEXT("\x1b[2J"), 20, "x'1b5b324a'");
    expect_payload(TEXT("\xc2\x9b"), 20, "x'c29b'");
    expect_payload(TEXT("\xe2\x80\xae"), 20, "x'e280ae'");
    expect_payload(TEXT("\xe2\x81\xa6"), 20, "x'e281a6'");
    expect_payload(TEXT("\xff"), 20, "x'ff'");
    expect_payload(TEXT("a\0b"), 20, "x'610062'");
    expect_payload(TEXT("\x01\x02\x03\x04\x05\x06\x07\x08"), 12, "x'010203...'");
}

static void expect_safe(const char *text, size_t bytes, const char *expected)
{
    struct buf out cleanup_buf;
    buf_init(&out, 4096);
    words_append_safe(&out, text, bytes);
    assert_string_equal(buf_text(&out), expected);
}

static void what_drives_a_terminal_is_escaped(void **state)
{
    expect_safe(TEXT("gr\xc3\xbcn\t\n"), "gr\xc3\xbcn\t\\x0a");
    expect_safe(TEXT("a\xe2\x80\xae"
                     "b"),
                "a\\xe2\\x80\\xae"
                "b"); /* U+202E turns round what follows */
    expect_safe(TEXT("\x1b[31m\x7f\r"), "\\x1b[31m\\x7f\\x0d");
    expect_safe(TEXT("\xc2\x9b\xff"), "\\xc2\\x9b\\xff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(durations_are_parsed),
        cmocka_unit_test(payloads_take_one_line),
        cmocka_unit_test(what_drives_a_terminal_is_hexadecimal),
        cmocka_unit_test(what_drives_a_terminal_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
