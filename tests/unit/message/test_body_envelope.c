#include "unit.h"

#include "message/body_envelope.h"

#include <errno.h>
#include <string.h>

#define HEAD                                                                                                 \
    "{\"topic\":\"garden/1/sensor\",\"key\":\"5f0c-42\",\"received\":\"2026-11-22T17:33:16.123Z\","          \
    "\"clock\":\"synchronised\""

static const struct message reading = {
    .topic = "garden/1/sensor",
    .key = "5f0c-42",
    .received_ms = 1795368796123,
    .clock_synchronised = true,
    .payload = "{\"soil\":21.40}",
    .payload_bytes = 14,
};
static const struct body_plan bare = {.age_ms = -1};

static void expect(const struct message *message, const struct body_plan *plan, const char *body)
{
    cleanup_buf struct buf out;
    buf_init(&out, 10000);
    buf_append_char(&out, '['); /* it appends */
    assert_int_equal(body_append_envelope(&out, message, plan), 0);
    assert_string_equal(buf_text(&out) + 1, body);
}

static void expect_payload(const void *payload, size_t bytes, const struct body_plan *plan, const char *rest)
{
    cleanup_free char *body = xasprintf(HEAD ",%s}", rest);
    char *exact = xcalloc(bytes ? bytes : 1, 1); /* for the sanitizers */
    memcpy(exact, payload, bytes);
    struct message message = reading;
    message.payload = exact;
    message.payload_bytes = bytes;
    expect(&message, plan, body);
    free(exact);
}

static void it_tells_what_is_known(void **state)
{
    expect(&reading, &bare, HEAD ",\"payload\":{\"soil\":21.40}}");

    struct message late = reading;
    late.late = true;
    late.late_since_ms = 1795368000000;
    late.clock_synchronised = false;
    late.topic = "garden/\"1\"\\\n";
    const struct body_plan aged = {.age_ms = 212};
    expect(&late, &aged,
           "{\"topic\":\"garden/"
           "\\\"1\\\"\\\\\\n\",\"key\":\"5f0c-42\",\"received\":\"2026-11-22T17:33:16.123Z\","
           "\"clock\":\"unsynchronised\",\"age_ms\":212,\"late_since\":\"2026-11-22T17:20:00.000Z\","
           "\"payload\":{\"soil\":21.40}}");
}

#define EXPECT_PAYLOAD(literal, rest) expect_payload(literal, sizeof(literal) - 1, &bare, rest)

static void json_stays_json(void **state)
{
    EXPECT_PAYLOAD("21.40", "\"payload\":21.40");
    EXPECT_PAYLOAD("12345678901234567890", "\"payload\":12345678901234567890");
    EXPECT_PAYLOAD("[1,\n2]\n", "\"payload\":[1,\n2]\n");
    EXPECT_PAYLOAD("\"\\u0041\"", "\"payload\":\"\\u0041\"");
    EXPECT_PAYLOAD("null", "\"payload\":null");
    const struct body_plan one_line = {.age_ms = -1, .one_line = true};
    expect_payload("[1,\r\n2]\n", 8, &one_line, "\"payload\":[1,  2] ");
}

static void other_text_becomes_a_string(void **state)
{
    EXPECT_PAYLOAD("", "\"encoding\":\"utf-8\",\"payload\":\"\"");
    EXPECT_PAYLOAD("soil=512", "\"encoding\":\"utf-8\",\"payload\":\"soil=512\"");
    EXPECT_PAYLOAD("{\"soil\":0512}", "\"encoding\":\"utf-8\",\"payload\":\"{\\\"soil\\\":0512}\"");
    EXPECT_PAYLOAD("\"\\ud83c\"", "\"encoding\":\"utf-8\",\"payload\":\"\\\"\\\\ud83c\\\"\"");
    EXPECT_PAYLOAD("\xef\xbb\xbf{}", "\"encoding\":\"utf-8\",\"payload\":\"\xef\xbb\xbf{}\"");
    EXPECT_PAYLOAD("g\xc3\xbcn \xf0\x9f\x8c\xb1\r\n\t\x7f",
                   "\"encoding\":\"utf-8\",\"payload\":\"g\xc3\xbcn \xf0\x9f\x8c\xb1\\r\\n\\t\x7f\"");
    EXPECT_PAYLOAD("a\0b\x1b", "\"encoding\":\"utf-8\",\"payload\":\"a\\u0000b\\u001b\"");
}

/* RFC 4648, section 10, as far as it is no text. */
static void the_rest_becomes_base64(void **state)
{
    EXPECT_PAYLOAD("\xff", "\"encoding\":\"base64\",\"payload\":\"/w==\"");
    EXPECT_PAYLOAD("\xff\xfe", "\"encoding\":\"base64\",\"payload\":\"//4=\"");
    EXPECT_PAYLOAD("\xff\xfe\x00", "\"encoding\":\"base64\",\"payload\":\"//4A\"");
    EXPECT_PAYLOAD("foobar\xff", "\"encoding\":\"base64\",\"payload\":\"Zm9vYmFy/w==\"");
    EXPECT_PAYLOAD("\x14\xfb\x9c\x03\xd9\x7e", "\"encoding\":\"base64\",\"payload\":\"FPucA9l+\"");
    EXPECT_PAYLOAD("{\"a\":\"\xc3\"}", "\"encoding\":\"base64\",\"payload\":\"eyJhIjoiwyJ9\"");
}

static void fields_come_behind_the_payload(void **state)
{
    struct fields *fields = NULL;
    char *why = NULL;
    assert_int_equal(
        fields_parse("gw={gateway}, topic=x, measured={measured_s}, encoding=x, none={9}, age={age_ms}",
                     &fields, &why),
        0);
    const struct body_plan plan = {.add = fields, .age_ms = -1, .gateway = "pi"};
    /* What the payload has is no matter, but for its age. */
    expect_payload("{\"gw\":1,\"age\":5200}", 19, &plan,
                   "\"payload\":{\"gw\":1,\"age\":5200},\"gw\":\"pi\",\"measured\":1795368790");
    expect_payload("[{\"age\":5200}]", 14, &plan,
                   "\"payload\":[{\"age\":5200}],\"gw\":\"pi\",\"measured\":1795368796");
    expect_payload("\xff", 1, &plan,
                   "\"encoding\":\"base64\",\"payload\":\"/w==\",\"gw\":\"pi\",\"measured\":1795368796");
    fields_free(fields);

    static const char *const its_own[] = {"topic",  "key",        "received", "clock",
                                          "age_ms", "late_since", "encoding", "payload"};
    for (size_t i = 0; i < ARRAY_LEN(its_own); i++)
        assert_true(body_envelope_has(its_own[i]));
    assert_false(body_envelope_has("host"));
    assert_false(body_envelope_has("Topic"));
}

static void a_full_buffer_stays_as_it_was(void **state)
{
    static const struct {
        const char *payload;
        size_t bytes;
    } cases[] = {{"{\"a\":1}", 7}, {"hello \"you\"", 11}, {"\xff\xfe\xfd\xfc", 4}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct message message = reading;
        message.payload = cases[i].payload;
        message.payload_bytes = cases[i].bytes;
        cleanup_buf struct buf whole;
        buf_init(&whole, 10000);
        assert_int_equal(body_append_envelope(&whole, &message, &bare), 0);
        for (size_t limit = 1; limit <= whole.bytes + 1; limit++) {
            cleanup_buf struct buf out;
            buf_init(&out, limit);
            buf_append_char(&out, '[');
            int r = body_append_envelope(&out, &message, &bare);
            assert_int_equal(r, limit <= whole.bytes ? -EMSGSIZE : 0);
            assert_string_equal(buf_text(&out) + 1, r == 0 ? buf_text(&whole) : "");
            assert_false(buf_overflowed(&out));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_tells_what_is_known),         cmocka_unit_test(json_stays_json),
        cmocka_unit_test(other_text_becomes_a_string),    cmocka_unit_test(the_rest_becomes_base64),
        cmocka_unit_test(fields_come_behind_the_payload), cmocka_unit_test(a_full_buffer_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
