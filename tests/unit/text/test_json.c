#include "unit.h"

#include "text/json.h"
#include "text/json_judge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* From memory of exactly that size, so that a sanitizer sees a read beyond it. */
static int check(const char *text, size_t bytes, struct json_fault *fault)
{
    char *exact = malloc(bytes ? bytes : 1);
    memcpy(exact, text, bytes);
    int r = json_check(exact, bytes, NULL, NULL, fault);
    free(exact);
    return r;
}

static void a_mistake_has_a_name_and_a_place(void **state)
{
    static const struct {
        const char *text, *what;
        size_t at;
    } cases[] = {
        {"", "unexpected end", 0},
        {" \n ", "unexpected end", 3},
        {"hello", "unexpected character", 0},
        {"soil=512", "unexpected character", 0},
        {"{\"soil\": 512, \"host\": wino}", "unexpected character", 22},
        {"{\"soil\": 512", "unexpected end", 12},
        {"{\"soil\": ", "unexpected end", 9},
        {"{\"soil\"", "unexpected end", 7},
        {"{\"soil", "unexpected end", 6},
        {"{", "unexpected end", 1},
        {"{,}", "unexpected character", 1},
        {"{1:2}", "unexpected character", 1},
        {"{\"a\",1}", "unexpected character", 4},
        {"{\"a\":1,}", "unexpected character", 7},
        {"{\"a\":1;\"b\":2}", "unexpected character", 6},
        {"{\"a\":1]", "unexpected character", 6},
        {"[1,]", "unexpected character", 3},
        {"[1}", "unexpected character", 2},
        {"[1 2]", "unexpected character", 3},
        {"{} x", "unexpected character", 3},
        {"1 2", "unexpected character", 2},
        {"tru", "unexpected character", 0},
        {"trueX", "unexpected character", 4},
        {"[NaN]", "unexpected character", 1},
        {"[+1]", "unexpected character", 1},
        {"[01]", "misspelt number", 1},
        {"[1.]", "misspelt number", 1},
        {"[-]", "misspelt number", 1},
        {"[1e]", "misspelt number", 1},
        {"[.5]", "unexpected character", 1},
        {"\"a\tb\"", "unescaped control character", 2},
        {"\"a\x1f\"", "unescaped control character", 2},
        {"\"\\x\"", "bad escape", 1},
        {"\"\\", "bad escape", 1},
        {"\"\\u12g4\"", "bad escape", 1},
        {"\"\\u12", "bad escape", 1},
        {"\"a\\ud83c\"", "half a surrogate pair", 2},
        {"\"\\udf31\"", "half a surrogate pair", 1},
        {"\"\\ud83c\\u0041\"", "half a surrogate pair", 1},
        {"\"\\ud83c\\n\"", "half a surrogate pair", 1},
        {"{\"a\":\"\xc3\"}", "not valid UTF-8", 6},
        {"\"\xed\xa0\x80\"", "not valid UTF-8", 1},
        {"\"\xff", "not valid UTF-8", 1},
        {"\xff", "unexpected character", 0},
        {"\xef\xbb\xbf{}", "byte order mark", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_fault fault = {0};
        if (check(cases[i].text, strlen(cases[i].text), &fault) != -EINVAL)
            fail_msg("%s was accepted", cases[i].text);
        if (strcmp(fault.what, cases[i].what) != 0 || fault.at != cases[i].at)
            fail_msg("%s: %s at byte %zu", cases[i].text, fault.what, fault.at);
    }
}

static void depth_is_bounded(void **state)
{
    enum { MOST = 1000 };
    char text[2 * MOST + 2];
    struct json_fault fault = {0};
    memset(text, '[', MOST + 1);
    memset(text + MOST + 1, ']', MOST + 1);
    assert_int_equal(check(text, sizeof(text), &fault), -EINVAL);
    assert_string_equal(fault.what, "nested deeper than 1000");
    assert_int_equal(fault.at, MOST);
    assert_false(json_judge(text, sizeof(text)));
    assert_int_equal(check(text + 1, sizeof(text) - 2, &fault), 0);
    assert_true(json_judge(text + 1, sizeof(text) - 2));
}

/* Writes down what it is told. */
static void note(void *context, const struct json_member *member)
{
    buf_printf(context, "<%.*s|%.*s>", (int)member->name_bytes, member->name, (int)member->value_bytes,
               member->value);
}

static void the_members_of_the_outermost_object_are_told(void **state)
{
    static const struct {
        const char *text, *members;
    } cases[] = {
        {"{}", ""},
        {" { } ", ""},
        {"{\"a\":1}", "<a|1>"},
        {" { \"a\" : 21.40 , \"b\\\"\" : \"x,}\" }\n", "<a|21.40><b\\\"|\"x,}\">"},
        {"{\"a\":{\"b\":{},\"c\":[{\"d\":1}]} ,\"e\":[ ],\"a\":null}",
         "<a|{\"b\":{},\"c\":[{\"d\":1}]}><e|[ ]><a|null>"},
        {"{\"\":true}", "<|true>"},
        {"[{\"a\":1},{\"b\":2}]", ""},
        {"[[],{\"a\":1}]", ""},
        {"\"{}\"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_buf struct buf members;
        struct json_fault fault;
        buf_init(&members, 1000);
        assert_int_equal(json_check(cases[i].text, strlen(cases[i].text), note, &members, &fault), 0);
        assert_string_equal(buf_text(&members), cases[i].members);
    }
}

static void strings_are_compared_by_what_they_mean(void **state)
{
    static const struct {
        const char *spelt, *text;
        bool same;
    } cases[] = {
        {"host", "host", true},
        {"", "", true},
        {"h\\u006fst", "host", true},
        {"\\u0068\\u006F\\u0073\\u0074", "host", true},
        {"a\\/b\\\\\\\"", "a/b\\\"", true},
        {"\\b\\f\\n\\r\\t", "\b\f\n\r\t", true},
        {"g\\u00fcn", "g\xc3\xbcn", true},
        {"\\uD83C\\uDF31", "\xf0\x9f\x8c\xb1", true},
        {"\xf0\x9f\x8c\xb1\\u0020", "\xf0\x9f\x8c\xb1 ", true},
        {"Host", "host", false},
        {"host", "hast", false},
        {"\\u0068ost", "hast", false},
        {"h\\u006fst", "hast", false},
        {"hos", "host", false},
        {"hostx", "host", false},
        {"hos\\u0074x", "host", false},
        {"\\u0068os", "host", false},
        {"host\\u0000", "host", false},
        {"host\\u0000x", "host", false},
        {"\\u0000", "", false},
        {"", "host", false},
        {"u0068", "h", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (json_string_is(cases[i].spelt, strlen(cases[i].spelt), cases[i].text) != cases[i].same)
            fail_msg("'%s' and '%s'", cases[i].spelt, cases[i].text);
}

/* -- against another's judgement -- */

struct chance {
    uint64_t state;
};

static unsigned below(struct chance *chance, unsigned bound)
{
    chance->state = chance->state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((chance->state >> 33) % bound);
}

static const char *const good[] = {
    "0",
    "-0",
    "21.40",
    "12345678901234567890",
    "-1e400",
    "1E+2",
    "0.1e-7",
    "true",
    "false",
    "null",
    "\"\"",
    "\"a\"",
    "\"g\xc3\xbcn\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u00e9\\u0000\"",
    "\"\\uD83C\\uDF31\"",
    "\"{[,:\"",
    "\"\x7f\"",
    "{}",
    "[]",
    "\"\xf0\x9f\x8c\xb1\"",
    "1234567890123456789012345678901234567890123456789012345678901234567890.5e-12345678901234567890"};
static const char *const bad[] = {"01",          "1.",
                                  ".5",          "-",
                                  "+1",          "1e",
                                  "0x1",         "1.2.3",
                                  "NaN",         "tru",
                                  "True",        "nulll",
                                  "\"",          "\"\\x\"",
                                  "\"\t\"",      "\"\\u12\"",
                                  "\"\\ud83c\"", "\"\\udf31\\ud83c\"",
                                  "\"\xff\"",    "\"\xc3\"",
                                  "'a'",         "",
                                  "}",           "]",
                                  ",",           ":",
                                  "\x0b",        "\xef\xbb\xbf",
                                  "\xc2\xa0",    "/**/"};

static void make_space(struct chance *chance, struct buf *out)
{
    static const char *const spaces[] = {" ", "\n", "\r", "\t", " \r\n"};
    if (below(chance, 8) == 0)
        buf_append_text(out, spaces[below(chance, ARRAY_LEN(spaces))]);
}

/* A value that may hold others, and hardly ever a mistake. */
static void make_value(struct chance *chance, unsigned depth, struct buf *out)
{
    unsigned kind = below(chance, 200);
    make_space(chance, out);
    if (kind == 0) {
        buf_append_text(out, bad[below(chance, ARRAY_LEN(bad))]);
    } else if (kind < 100 || depth == 0) {
        buf_append_text(out, good[below(chance, ARRAY_LEN(good))]);
    } else {
        bool object = kind < 150;
        buf_append_char(out, object ? '{' : '[');
        for (unsigned i = below(chance, 5); i > 0; i--) {
            make_space(chance, out);
            if (object)
                buf_printf(out, "\"%u\":", below(chance, 3));
            make_value(chance, depth - 1, out);
            if (i > 1 || below(chance, 100) == 0)
                buf_append_char(out, ',');
        }
        buf_append_char(out, object ? '}' : ']');
    }
    make_space(chance, out);
}

/* Changes, drops or inserts a byte. */
static void spoil(struct chance *chance, struct buf *text)
{
    static const char bytes[] = "{}[]:,\"\\0123456789.eE+-truefalsn \n\t\x01\x7f\xc3\xbc\xef\xff";
    size_t at = below(chance, (unsigned)text->bytes);
    char byte = bytes[below(chance, sizeof(bytes))]; /* the NUL as well */
    unsigned how = below(chance, 3);
    if (how == 0) {
        text->data[at] = byte;
    } else if (how == 1) {
        memmove(text->data + at, text->data + at + 1, text->bytes - at);
        text->bytes--;
    } else {
        buf_append_char(text, 'x');
        memmove(text->data + at + 1, text->data + at, text->bytes - at - 1);
        text->data[at] = byte;
    }
}

/* All before a fault could have become JSON. */
static void expect_good_until(const char *text, const struct json_fault *fault)
{
    struct json_fault end;
    if (check(text, fault->at, &end) == 0)
        return;
    if (strcmp(end.what, "unexpected end") != 0 || end.at != fault->at)
        fail_msg("'%s': %s at byte %zu, but before it %s at byte %zu", text, fault->what, fault->at, end.what,
                 end.at);
}

static void cjson_and_a_look_at_the_tokens_agree(void **state)
{
    enum { TEXTS = 100000 };
    struct chance chance = {.state = 8259};
    unsigned accepted = 0;
    cleanup_buf struct buf text;
    buf_init(&text, 1 << 20);
    for (unsigned i = 0; i < TEXTS; i++) {
        struct json_fault fault = {0};
        buf_reset(&text);
        make_value(&chance, 4, &text);
        for (unsigned spoils = i % 3; spoils > 0 && text.bytes > 0; spoils--)
            spoil(&chance, &text);
        bool ok = check(buf_text(&text), text.bytes, &fault) == 0;
        if (ok != json_judge(buf_text(&text), text.bytes))
            fail_msg("number %u, '%s': %s", i, buf_text(&text), ok ? "accepted" : fault.what);
        if (!ok)
            expect_good_until(buf_text(&text), &fault);
        accepted += ok;
    }
    assert_in_range(accepted, TEXTS / 5, TEXTS / 5 * 4); /* or the texts were made badly */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mistake_has_a_name_and_a_place),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(the_members_of_the_outermost_object_are_told),
        cmocka_unit_test(strings_are_compared_by_what_they_mean),
        cmocka_unit_test(cjson_and_a_look_at_the_tokens_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
