/* Payloads and other foreign text on a terminal. */
#include "unit.h"

#include "text/display.h"

#include <string.h>

static void expect_payload(const void *payload, size_t bytes, size_t columns, const char *expected)
{
    struct buf out cleanup_buf;
    buf_init(&out, 4096);
    display_append_payload(&out, payload, bytes, columns);
    assert_string_equal(buf_text(&out), expected);
    if (columns > 0)
        assert_true(display_columns(buf_text(&out)) <= columns);
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
    assert_int_equal(display_columns("\xff\xe6\xbc\xa2"), 3);
}

static void single_bad_bytes_are_escaped(void **state)
{
    expect_payload(TEXT("caf\xe9"), 20, "caf\\xe9");
    expect_payload(TEXT("caf\xe9 au lait"), 9, "caf...");
    expect_payload(TEXT("caf\xe9 au lait"), 10, "caf\\xe9...");
    expect_payload(TEXT("caf\xe9"), 7, "caf\\xe9");
    expect_payload(TEXT("\x1b[2J"), 20, "\\x1b[2J");
    expect_payload(TEXT("12345\0"), 20, "12345\\x00");
    expect_payload(TEXT("gr\xc3\xbcn \xc2\x9b to go"), 40, "gr\xc3\xbcn \\xc2\\x9b to go");
    expect_payload(TEXT("a text \xe2\x80\xae to turn"), 40, "a text \\xe2\\x80\\xae to turn");
    expect_payload(TEXT("a text \xe2\x81\xa6 to turn"), 40, "a text \\xe2\\x81\\xa6 to turn");
    assert_int_equal(display_bad_bytes(TEXT("a\tb\r\n\xe2\x80\xae\xff\0")), 5);
    assert_true(display_is_text(TEXT("caf\xe9")));
    assert_false(display_is_text(TEXT("ca\xe9")));
}

static void mostly_bad_bytes_make_a_payload_hexadecimal(void **state)
{
    expect_payload(TEXT("\x1b[2"), 20, "x'1b5b32'");
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
    display_append_safe(&out, text, bytes);
    assert_string_equal(buf_text(&out), expected);
}

static void control_characters_in_text_are_escaped(void **state)
{
    expect_safe(TEXT("gr\xc3\xbcn\t\n"), "gr\xc3\xbcn\t\\x0a");
    expect_safe(TEXT("a\xe2\x80\xae"
                     "b"),
                "a\\xe2\\x80\\xae"
                "b"); /* U+202E reverses the text after it */
    expect_safe(TEXT("\x1b[31m\x7f\r"), "\\x1b[31m\\x7f\\x0d");
    expect_safe(TEXT("\xc2\x9b\xff"), "\\xc2\\x9b\\xff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads_take_one_line),
        cmocka_unit_test(single_bad_bytes_are_escaped),
        cmocka_unit_test(mostly_bad_bytes_make_a_payload_hexadecimal),
        cmocka_unit_test(control_characters_in_text_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
