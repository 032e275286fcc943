#include "unit.h"

#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void a_new_buffer_is_empty_text(void **state)
{
    cleanup_buf struct buf buf;
    buf_init(&buf, 10);
    assert_string_equal(buf_text(&buf), "");
    assert_int_equal(buf.bytes, 0);
    assert_false(buf_overflowed(&buf));
}

static void appends_add_up_and_end_in_a_nul(void **state)
{
    cleanup_buf struct buf buf;
    buf_init(&buf, 1000);
    assert_int_equal(buf_append(&buf, "ab", 2), 0);
    assert_int_equal(buf_append_text(&buf, "cd"), 0);
    assert_int_equal(buf_append_char(&buf, 'e'), 0);
    assert_int_equal(buf_printf(&buf, "%d-%s", 42, "x"), 0);
    assert_string_equal(buf_text(&buf), "abcde42-x");
    assert_int_equal(buf.bytes, 9);
}

static void nothing_may_be_appended(void **state)
{
    cleanup_buf struct buf buf;
    buf_init(&buf, 0);
    assert_int_equal(buf_append(&buf, NULL, 0), 0);
    assert_int_equal(buf_append_text(&buf, ""), 0);
    assert_int_equal(buf_printf(&buf, "%s", ""), 0);
    assert_string_equal(buf_text(&buf), "");
    assert_int_equal(buf_append_char(&buf, 'x'), -EMSGSIZE);
}

static void bytes_may_hold_nuls(void **state)
{
    cleanup_buf struct buf buf;
    buf_init(&buf, 10);
    assert_int_equal(buf_append(&buf, "a\0b", 3), 0);
    assert_int_equal(buf.bytes, 3);
    assert_memory_equal(buf.data, "a\0b", 4);
}

static void it_holds_its_limit_and_not_a_byte_more(void **state)
{
    cleanup_buf struct buf buf;
    buf_init(&buf, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(buf_append_char(&buf, 'x'), 0);
    assert_false(buf_overflowed(&buf));
    assert_int_equal(buf_append_char(&buf, 'y'), -EMSGSIZE);
    assert_true(buf_overflowed(&buf));
    assert_int_equal(buf.bytes, 100);
    assert_int_equal(strlen(buf_text(&buf)), 100);
    assert_true(buf.capacity <= 101);
}

static void an_append_that_does_not_fit_leaves_what_was_there(void **state)
{
    cleanup_buf struct buf buf;
    buf_init(&buf, 8);
    assert_int_equal(buf_append_text(&buf, "abcdef"), 0);
    assert_int_equal(buf_append_text(&buf, "ghi"), -EMSGSIZE);
    assert_int_equal(buf_printf(&buf, "%d", 123), -EMSGSIZE);
    assert_int_equal(buf_append_percent_encoded(&buf, "/", 1), -EMSGSIZE);
    assert_int_equal(buf_append(&buf, "x", SIZE_MAX), -EMSGSIZE);
    assert_string_equal(buf_text(&buf), "abcdef");
    assert_int_equal(buf_append_text(&buf, "gh"), 0); /* a smaller one still fits */
    assert_true(buf_overflowed(&buf));                /* but the run of appends failed */
}

static void reset_keeps_the_memory_done_gives_it_back(void **state)
{
    struct buf buf;
    buf_init(&buf, 4);
    assert_int_equal(buf_append_text(&buf, "12345"), -EMSGSIZE);
    buf_reset(&buf);
    assert_false(buf_overflowed(&buf));
    assert_int_equal(buf_append_text(&buf, "1234"), 0);
    char *data = buf.data;
    buf_reset(&buf);
    assert_ptr_equal(buf.data, data);
    assert_string_equal(buf_text(&buf), "");
    buf_done(&buf);
    assert_null(buf.data);
    assert_int_equal(buf_append_text(&buf, "1234"), 0); /* usable again, with its limit */
    assert_int_equal(buf_append_text(&buf, "5"), -EMSGSIZE);
    buf_done(&buf);
    buf_done(&buf);
}

static void numbers_are_decimal(void **state)
{
    static const struct {
        int64_t number;
        const char *text;
    } cases[] = {{0, "0"},
                 {7, "7"},
                 {-1, "-1"},
                 {1795368796123, "1795368796123"},
                 {INT64_MAX, "9223372036854775807"},
                 {INT64_MIN, "-9223372036854775808"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_buf struct buf buf;
        buf_init(&buf, 20);
        assert_int_equal(buf_append_number(&buf, cases[i].number), 0);
        assert_string_equal(buf_text(&buf), cases[i].text);
    }
    cleanup_buf struct buf buf;
    buf_init(&buf, 2);
    assert_int_equal(buf_append_number(&buf, -12), -EMSGSIZE);
    assert_string_equal(buf_text(&buf), "");
}

static void what_was_appended_can_be_cut_off_again(void **state)
{
    cleanup_buf struct buf buf;
    buf_init(&buf, 5);
    buf_cut(&buf, 0);
    assert_string_equal(buf_text(&buf), "");
    buf_append_text(&buf, "abcde");
    buf_cut(&buf, 5);
    assert_string_equal(buf_text(&buf), "abcde");
    buf_cut(&buf, 2);
    assert_string_equal(buf_text(&buf), "ab");
    assert_int_equal(buf_append_text(&buf, "xyz"), 0);
    assert_string_equal(buf_text(&buf), "abxyz");
}

static void percent_encoding_leaves_only_unreserved_characters(void **state)
{
    cleanup_buf struct buf buf;
    for (int c = 0; c < 256; c++) {
        char byte = (char)c, expected[4];
        bool unreserved =
            c && c < 128 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", c);
        snprintf(expected, sizeof(expected), unreserved ? "%c" : "%%%02X", c);
        buf_init(&buf, 3);
        assert_int_equal(buf_append_percent_encoded(&buf, &byte, 1), 0);
        assert_string_equal(buf_text(&buf), expected);
        buf_done(&buf);
    }
    buf_init(&buf, 100);
    assert_int_equal(buf_append_percent_encoded(&buf, "a b/\xc3\xa9?#%\r\n", 11), 0);
    assert_string_equal(buf_text(&buf), "a%20b%2F%C3%A9%3F%23%25%0D%0A");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_buffer_is_empty_text),
        cmocka_unit_test(appends_add_up_and_end_in_a_nul),
        cmocka_unit_test(nothing_may_be_appended),
        cmocka_unit_test(bytes_may_hold_nuls),
        cmocka_unit_test(it_holds_its_limit_and_not_a_byte_more),
        cmocka_unit_test(an_append_that_does_not_fit_leaves_what_was_there),
        cmocka_unit_test(reset_keeps_the_memory_done_gives_it_back),
        cmocka_unit_test(numbers_are_decimal),
        cmocka_unit_test(what_was_appended_can_be_cut_off_again),
        cmocka_unit_test(percent_encoding_leaves_only_unreserved_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
