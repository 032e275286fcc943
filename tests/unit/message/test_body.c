#include "unit.h"

#include "message/body.h"

#include <string.h>

#define JSON   "application/json"
#define PLAIN  "text/plain; charset=utf-8"
#define BINARY "application/octet-stream"

struct payload {
    const char *text;
    size_t bytes;
};
/* clang-format off */
#define BYTES(literal) {literal, sizeof(literal) - 1}
/* clang-format on */

/* From memory of exactly that size, so that a sanitizer sees a read beyond it. */
static const char *type_of(const char *text, size_t bytes)
{
    char *exact = xcalloc(bytes ? bytes : 1, 1);
    memcpy(exact, text, bytes);
    const char *type = body_content_type(exact, bytes);
    free(exact);
    return type;
}

static void expect_all(const struct payload *payloads, size_t count, const char *type)
{
    for (size_t i = 0; i < count; i++) {
        const char *is = type_of(payloads[i].text, payloads[i].bytes);
        if (strcmp(is, type))
            fail_msg("number %zu, '%s': %s instead of %s", i, payloads[i].text, is, type);
    }
}

static void json_texts_are_json(void **state)
{
    static const struct payload payloads[] = {
        BYTES("{}"),
        BYTES("[]"),
        BYTES("{ \"host\": \"wino-0013a2\", \"soil\": 512 }"),
        BYTES("[{\"a\":1},{\"a\":null}]"),
        BYTES(" \t\r\n{\"a\" : true , \"b\":[ false ]}\r\n "),
        BYTES("21.5"),
        BYTES("0"),
        BYTES("-0"),
        BYTES("-0.5e-10"),
        BYTES("1E+2"),
        BYTES("1e400"),
        BYTES("12345678901234567890"),
        BYTES("[0,10,0.1,-1]"),
        BYTES("\"\""),
        BYTES("\"gem\xc3\xbcse\""),
        BYTES("\"\\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u00e9 \\uD83C\\uDF31\""),
        BYTES("\"\x7f\""), /* DEL needs no escape in JSON */
        BYTES("\"a 01 1. \\\\\""),
        BYTES("true"),
        BYTES("null"),
        BYTES("{\"a\":1,\"a\":2}"),
    };
    expect_all(payloads, ARRAY_LEN(payloads), JSON);
}

/* Each of these would draw a 400 from a strict backend, for ever. */
static void what_is_nearly_json_is_not(void **state)
{
    static const struct payload payloads[] = {
        BYTES("{"),
        BYTES("}"),
        BYTES("[1,]"),
        BYTES("{\"a\":1,}"),
        BYTES("[,1]"),
        BYTES("[1 2]"),
        BYTES("{\"a\" 1}"),
        BYTES("{a:1}"),
        BYTES("{1:1}"),
        BYTES("{'a':1}"),
        BYTES("{\"a\"}"),
        BYTES("[1}"),
        BYTES("{} {}"),
        BYTES("{}x"),
        BYTES("1 2"),
        BYTES("+1"),
        BYTES("01"),
        BYTES("-01"),
        BYTES("1."),
        BYTES(".5"),
        BYTES("-.5"),
        BYTES("-"),
        BYTES("1e"),
        BYTES("1e+"),
        BYTES("1.e5"),
        BYTES("0x10"),
        BYTES("1-2"),
        BYTES("[1.2.3]"),
        BYTES("[00]"),
        BYTES("1e5.5"),
        BYTES("NaN"),
        BYTES("nan"),
        BYTES("-Infinity"),
        BYTES("-inf"),
        BYTES("tru"),
        BYTES("True"),
        BYTES("nullx"),
        BYTES("truefalse"),
        BYTES("undefined"),
        BYTES("\""),
        BYTES("\"\\\""),
        BYTES("\"\\x41\""),
        BYTES("\"\\u12\""),
        BYTES("\"\\u12G4\""),
        BYTES("\"\\"),
        BYTES("\"\\u"),
        BYTES("\"a\nb\""),
        BYTES("\"a\tb\""),
        BYTES("// x\n1"),
        BYTES("/* x */ 1"),
        BYTES(" "),
        BYTES("\n"),
        BYTES("hello"),
        BYTES("soil=512"),
        BYTES("21.5 C"),
        BYTES("\"\\ud83c\""),
        BYTES("\"\\udf31 \\ud83c\""),
        BYTES("\xef\xbb\xbf{}"),
    };
    expect_all(payloads, ARRAY_LEN(payloads), PLAIN);
}

static void text_is_text(void **state)
{
    static const struct payload payloads[] = {
        BYTES(""),
        BYTES("on"),
        BYTES("a\tb\r\nc"),
        BYTES("gem\xc3\xbcse \xe2\x82\xac \xf0\x9f\x8c\xb1 \xc2\xa0"),
    };
    expect_all(payloads, ARRAY_LEN(payloads), PLAIN);
    assert_string_equal(body_content_type(NULL, 0), PLAIN);
}

static void the_rest_is_binary(void **state)
{
    static const struct payload payloads[] = {
        BYTES("\0"),
        BYTES("{}\0"),
        BYTES("\"a\0b\""),
        BYTES("{\0}"),
        BYTES("a\x01"),
        BYTES("a\x7f"),
        BYTES("\x0b{}"),
        BYTES("{}\x0c"),
        BYTES("\"a\x01\""),
        BYTES("\xff"),
        BYTES("\xc2"),
        BYTES("{\"a\":\"\xc3\"}"),
        BYTES("\"\xed\xa0\x80\""),
        BYTES("\xc2\x85"),
        BYTES("\x1b[0m"),
    };
    expect_all(payloads, ARRAY_LEN(payloads), BINARY);
}

static void deep_nesting_is_survived(void **state)
{
    enum { DEPTH = 1000000 };
    cleanup_free char *text = xcalloc(1, 2 * DEPTH + 1);
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    assert_string_equal(type_of(text, 2 * DEPTH), PLAIN);
    assert_string_equal(type_of(text, DEPTH), PLAIN);
    assert_string_equal(type_of(text + DEPTH - 500, 1000), JSON);
    for (size_t i = 0; i + 5 < 2 * DEPTH; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    assert_string_equal(type_of(text, 2 * DEPTH), PLAIN);
}

static void a_large_payload_is_read_to_its_end(void **state)
{
    enum { ITEMS = 50000 };
    cleanup_free char *text = xcalloc(1, 4 * ITEMS + 2);
    text[0] = '[';
    for (size_t i = 0; i < ITEMS; i++)
        memcpy(text + 1 + 4 * i, "100,", 4);
    text[4 * ITEMS] = ']';
    assert_string_equal(type_of(text, 4 * ITEMS + 1), JSON);
    text[4 * ITEMS + 1] = '?';
    assert_string_equal(type_of(text, 4 * ITEMS + 2), PLAIN);
    text[4 * ITEMS + 1] = '\xff';
    assert_string_equal(type_of(text, 4 * ITEMS + 2), BINARY);
}

/* A device that tries again knows that its reading is older. */
static void only_the_age_may_differ_in_a_repetition(void **state)
{
    static const struct {
        const char *one, *other;
        bool repeated;
    } cases[] = {
        {"", "", true},
        {"a", "a", true},
        {"a", "b", false},
        {"", "a", false},
        {"{\"age\":1}", "{\"age\":22}", true},
        {"{\"b\":1,\"age\":1,\"c\":2}", "{\"b\":1,\"age\":4294967295,\"c\":2}", true},
        {"{\"b\":1,\"age\":1,\"c\":2}", "{\"b\":1,\"age\":1,\"c\":3}", false},
        {"{\"b\":1,\"age\":1}", "{\"b\":2,\"age\":1}", false},
        {"{\"b\":1,\"age\":1}", "{\"b\":1,\"age\": 1}", false},
        {"{\"age\":1,\"age\":2}", "{\"age\":3,\"age\":2}", false},
        {"{\"age\":\"1\"}", "{\"age\":\"2\"}", false},
        {"{\"x\":{\"age\":1}}", "{\"x\":{\"age\":2}}", false},
        {"{\"age\":1}", "{\"age\":2", false},
        {"{\"age\":1}", "{\"age\":1,\"b\":2}", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *one = cases[i].one, *other = cases[i].other;
        assert_int_equal(body_is_repeated(one, strlen(one), other, strlen(other)), cases[i].repeated);
        assert_int_equal(body_is_repeated(other, strlen(other), one, strlen(one)), cases[i].repeated);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_texts_are_json),
        cmocka_unit_test(what_is_nearly_json_is_not),
        cmocka_unit_test(text_is_text),
        cmocka_unit_test(the_rest_is_binary),
        cmocka_unit_test(deep_nesting_is_survived),
        cmocka_unit_test(a_large_payload_is_read_to_its_end),
        cmocka_unit_test(only_the_age_may_differ_in_a_repetition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
