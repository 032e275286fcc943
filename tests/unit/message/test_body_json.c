#include "unit.h"

#include "message/body_json.h"

#include <errno.h>
#include <string.h>

#define LIMIT 1000000u

static struct fields *parse(const char *add)
{
    struct fields *fields = NULL;
    cleanup_free char *why = NULL;
    if (add && fields_parse(add, &fields, &why) < 0)
        fail_msg("%s: %s", add, why);
    return fields;
}

/* The payload is in memory of exactly its size, so that a sanitizer sees a read
 * beyond it. */
static int append(struct buf *out, const void *payload, size_t bytes, const struct fields *add, bool one_line,
                  char **ret_why)
{
    const struct body_plan plan = {.add = add, .one_line = one_line, .age_ms = 212, .gateway = "pi"};
    char *exact = xcalloc(bytes ? bytes : 1, 1);
    memcpy(exact, payload, bytes);
    const struct message message = {.topic = "garden/wino/sensor",
                                    .key = "5f0c-42",
                                    .received_ms = 1795368796123,
                                    .payload = exact,
                                    .payload_bytes = bytes};
    int r = body_append_json(out, &message, &plan, ret_why);
    free(exact);
    return r;
}

static void expect(const char *payload, const char *add, bool one_line, const char *body)
{
    struct fields *fields = parse(add);
    cleanup_buf struct buf out;
    char *why = NULL;
    buf_init(&out, LIMIT);
    buf_append_char(&out, '['); /* it appends */
    if (append(&out, payload, strlen(payload), fields, one_line, &why) != 0)
        fail_msg("%s: %s", payload, why);
    if (strcmp(buf_text(&out) + 1, body) != 0)
        fail_msg("%s becomes %s instead of %s", payload, buf_text(&out) + 1, body);
    fields_free(fields);
}

static void fields_go_in_before_the_last_brace(void **state)
{
    static const struct {
        const char *payload, *add, *body;
    } cases[] = {
        {"{\"soil\":512}", NULL, "{\"soil\":512}"},
        {"{\"soil\":512}", "host={2}, timestamp={received_s}",
         "{\"soil\":512,\"host\":\"wino\",\"timestamp\":1795368796}"},
        {"{}", "host={2}", "{\"host\":\"wino\"}"},
        {" {\t}\r\n", "host={2}, n=1", " {\t\"host\":\"wino\",\"n\":1}\r\n"},
        {" { \"a\": 1 }\n", "n=1", " { \"a\": 1 ,\"n\":1}\n"},
        {"{\"a\":{}}", "n=1", "{\"a\":{},\"n\":1}"},
        {"{\"a\":\"}\"}", "n=1", "{\"a\":\"}\",\"n\":1}"},
        {"{\"a\":[{\"n\":5}]}", "n=1", "{\"a\":[{\"n\":5}],\"n\":1}"}, /* only outermost members count */
        {"{}", "a={7}, b={8}", "{}"},
        {"{\"x\":1}", "a={7}, n=1, b={8}", "{\"x\":1,\"n\":1}"},
        {"{}", "a={7}, n=1, b={8}, m=2", "{\"n\":1,\"m\":2}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect(cases[i].payload, cases[i].add, false, cases[i].body);
}

/* No number is rounded, no escape resolved, no member moved or merged. */
static void the_payload_survives_byte_for_byte(void **state)
{
    static const char *const payloads[] = {
        "{\"t\":21.40,\"n\":12345678901234567890,\"e\":1.0E+02,\"z\":-0,\"h\":1e400",
        "{\"b\":1,\"a\":2,\"b\":3,\"a\":{\"a\":4},\"a\":5",
        "{\"u\":\"\\u0041\\/\\ud83c\\udf31\\u0000 g\xc3\xbcn \xf0\x9f\x8c\xb1 \x7f\",\"\\u0000\":1,\"\":2",
        "{ \"a\" :\t1 ,\r\n  \"b\": [ 1 , 2 ]  ",
    };
    for (size_t i = 0; i < ARRAY_LEN(payloads); i++) {
        cleanup_free char *payload = xasprintf("%s}", payloads[i]);
        cleanup_free char *body = xasprintf("%s,\"host\":\"wino\"}", payloads[i]);
        expect(payload, NULL, false, payload);
        expect(payload, "host={2}", false, body);
    }
}

static void what_the_device_sent_is_left_alone(void **state)
{
    static const struct {
        const char *payload, *add, *body;
    } cases[] = {
        {"{\"host\":\"x\"}", "host={2}", "{\"host\":\"x\"}"},
        {"{\"host\":null}", "host={2}, n=1", "{\"host\":null,\"n\":1}"},
        {"{\"h\\u006fst\":1}", "host={2}", "{\"h\\u006fst\":1}"},
        {"{\"host\":1,\"host\":2}", "host={2}", "{\"host\":1,\"host\":2}"},
        {"{\"g\xc3\xbcn\":1}", "g\xc3\xbcn=2", "{\"g\xc3\xbcn\":1}"},
        {"{\"g\\u00FCn\":1}", "g\xc3\xbcn=2", "{\"g\\u00FCn\":1}"},
        {"{\"Host\":1}", "host={2}", "{\"Host\":1,\"host\":\"wino\"}"},
        {"{\"host\\u0000\":1}", "host={2}", "{\"host\\u0000\":1,\"host\":\"wino\"}"},
        {"{\"a\":{\"host\":1},\"b\":\"host\"}", "host={2}",
         "{\"a\":{\"host\":1},\"b\":\"host\",\"host\":\"wino\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect(cases[i].payload, cases[i].add, false, cases[i].body);
}

static void age_says_when_it_was_measured(void **state)
{
    static const struct {
        const char *members;
        int64_t measured_s;
    } cases[] = {
        {"\"age\":5200", 1795368790}, /* received at ...796.123 */
        {"\"age\":0", 1795368796},
        {"\"age\":123", 1795368796},
        {"\"age\":124", 1795368795},
        {"\"age\":4294967295", 1791073828},
        {"\"age\":4294967296", 1795368796},
        {"\"age\":99999999999999999999", 1795368796},
        {"\"age\":-5200", 1795368796},
        {"\"age\":5200.0", 1795368796},
        {"\"age\":5e3", 1795368796},
        {"\"age\":\"5200\"", 1795368796},
        {"\"age\":null", 1795368796},
        {"\"\\u0061ge\":5200", 1795368790},
        {"\"age\":1,\"age\":5200", 1795368790},
        {"\"Age\":5200", 1795368796},
        {"\"x\":{\"age\":5200}", 1795368796},
        {"\"x\":1", 1795368796},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *payload = xasprintf("{%s}", cases[i].members);
        cleanup_free char *body =
            xasprintf("{%s,\"t\":%lld}", cases[i].members, (long long)cases[i].measured_s);
        expect(payload, "t={measured_s}", false, body);
    }
}

static void ndjson_takes_one_line(void **state)
{
    expect("\r\n{\n\t\"a\": \"x\\n\",\r\n\"b\": [\n]\n}\n", "n=1", true,
           "  { \t\"a\": \"x\\n\",  \"b\": [ ] ,\"n\":1} ");
    expect("{\n}", "t=\"{2}\"", true, "{ \"t\":\"wino\"}");
}

static void what_is_no_object_is_refused_with_a_reason(void **state)
{
    static const struct {
        const char *payload, *why;
    } cases[] = {
        {"", "no JSON object: empty"},
        {"  ", "no JSON object: unexpected end at byte 2"},
        {"soil=512", "no JSON object: unexpected character at byte 0"},
        {"{\"soil\": 512, 7}", "no JSON object: unexpected character at byte 14"},
        {"{\"soil\": 512", "no JSON object: unexpected end at byte 12"},
        {"{\"soil\": 0512}", "no JSON object: misspelt number at byte 9"},
        {"{}{}", "no JSON object: unexpected character at byte 2"},
        {"\xef\xbb\xbf{}", "no JSON object: byte order mark at byte 0"},
        {"{\"a\":\"\xff\"}", "no JSON object: not valid UTF-8 at byte 6"},
        {" [{}]", "no JSON object: it is a JSON array"},
        {"\"{}\"", "no JSON object: it is a JSON string"},
        {"-21.5", "no JSON object: it is a JSON number"},
        {"\ttrue", "no JSON object: it is a JSON boolean"},
        {"false", "no JSON object: it is a JSON boolean"},
        {"null", "no JSON object: it is a JSON null"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_buf struct buf out;
        cleanup_free char *why = NULL;
        buf_init(&out, LIMIT);
        buf_append_text(&out, "[{}");
        assert_int_equal(append(&out, cases[i].payload, strlen(cases[i].payload), NULL, false, &why),
                         -EINVAL);
        assert_string_equal(why, cases[i].why);
        assert_string_equal(buf_text(&out), "[{}");
    }
    cleanup_buf struct buf out;
    cleanup_free char *why = NULL;
    buf_init(&out, LIMIT);
    assert_int_equal(append(&out, "{\"a\":1}\0", 8, NULL, false, &why), -EINVAL);
    assert_string_equal(why, "no JSON object: unexpected character at byte 7");
}

static void a_full_buffer_stays_as_it_was(void **state)
{
    static const char payload[] = "{\"soil\":512}", body[] = "{\"soil\":512,\"host\":\"wino\",\"n\":1}";
    struct fields *fields = parse("host={2}, n=1, a_field_that_is_left_out={9}");
    for (size_t limit = 3; limit < sizeof(body) + 3; limit++) {
        cleanup_buf struct buf out;
        char *why = NULL;
        buf_init(&out, limit);
        buf_append_text(&out, "[1,");
        int r = append(&out, payload, strlen(payload), fields, false, &why);
        assert_int_equal(r, limit < strlen(body) + 3 ? -EMSGSIZE : 0);
        assert_string_equal(buf_text(&out) + 3, r == 0 ? body : "");
        assert_false(buf_overflowed(&out));
        assert_null(why);
    }
    fields_free(fields);
}

/* Deep, wide, and large. */
static void size_and_depth_are_survived(void **state)
{
    enum { VALUES = 400000 };
    static const size_t values[] = {10, 500, VALUES};
    struct fields *fields = parse("n=1");
    cleanup_free char *text = xcalloc(1, 2 * VALUES + 100);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        cleanup_buf struct buf out;
        char *why = NULL;
        buf_init(&out, LIMIT);
        memcpy(text, "{\"a\":[", 6);
        for (size_t k = 0; k < values[i]; k++)
            memcpy(text + 6 + 2 * k, "1,", 2);
        size_t bytes = 6 + 2 * values[i] - 1;
        memcpy(text + bytes, "]}", 2);
        assert_int_equal(append(&out, text, bytes + 2, fields, false, &why), 0);
        assert_memory_equal(out.data, text, bytes + 1);
        assert_string_equal(out.data + bytes + 1, ",\"n\":1}");
    }
    for (size_t depth = 990; depth < 1010; depth++) {
        cleanup_buf struct buf out;
        cleanup_free char *why = NULL;
        buf_init(&out, LIMIT);
        memcpy(text, "{\"a\":", 5);
        memset(text + 5, '[', depth);
        memset(text + 5 + depth, ']', depth);
        text[5 + 2 * depth] = '}';
        int r = append(&out, text, 6 + 2 * depth, fields, false, &why);
        assert_int_equal(r, depth < 1000 ? 0 : -EINVAL);
        if (r < 0)
            assert_string_equal(why, "no JSON object: nested deeper than 1000 at byte 1004");
    }
    fields_free(fields);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_go_in_before_the_last_brace),
        cmocka_unit_test(the_payload_survives_byte_for_byte),
        cmocka_unit_test(what_the_device_sent_is_left_alone),
        cmocka_unit_test(age_says_when_it_was_measured),
        cmocka_unit_test(ndjson_takes_one_line),
        cmocka_unit_test(what_is_no_object_is_refused_with_a_reason),
        cmocka_unit_test(a_full_buffer_stays_as_it_was),
        cmocka_unit_test(size_and_depth_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
