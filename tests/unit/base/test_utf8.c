#include "unit.h"

#include "base/utf8.h"

struct text {
    const char *text;
    size_t bytes;
};
/* clang-format off */
#define BYTES(literal) {literal, sizeof(literal) - 1}
/* clang-format on */

static void well_formed_utf8_is_recognised(void **state)
{
    static const struct text good[] = {
        BYTES(""),
        BYTES("a\0b"),
        BYTES("\x7f"),
        BYTES("\xc2\x80"),
        BYTES("\xdf\xbf"),
        BYTES("\xe0\xa0\x80"),
        BYTES("\xed\x9f\xbf"),
        BYTES("\xee\x80\x80"),
        BYTES("\xef\xbf\xbf"),
        BYTES("\xf0\x90\x80\x80"),
        BYTES("\xf4\x8f\xbf\xbf"),
    };
    static const struct text bad[] = {
        BYTES("\x80"), /* continuation without a start */
        BYTES("\xbf"),
        BYTES("\xc0\x80"), /* overlong */
        BYTES("\xc1\xbf"),
        BYTES("\xe0\x9f\xbf"),
        BYTES("\xf0\x8f\xbf\xbf"),
        BYTES("\xed\xa0\x80"), /* surrogates */
        BYTES("\xed\xbf\xbf"),
        BYTES("\xf4\x90\x80\x80"), /* above U+10FFFF */
        BYTES("\xf5\x80\x80\x80"),
        BYTES("\xf8\x88\x80\x80\x80"),
        BYTES("\xfe"),
        BYTES("\xc2"), /* cut off */
        BYTES("\xe2\x82"),
        BYTES("\xf0\x9f\x8c"),
        BYTES("\xc2"
              "a"), /* interrupted */
        BYTES("\xe2\x82"
              "a"),
        BYTES("abc\xff"),
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(utf8_valid(good[i].text, good[i].bytes));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(utf8_valid(bad[i].text, bad[i].bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_utf8_is_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
