/* fuzz_body.c - any bytes as a payload, for the content type, json and envelope.
 *
 * The first line of an input is both the value of `add` and the topic. The payload follows.
 */
#include "fuzz.h"

#include "base/utf8.h"
#include "message/body.h"
#include "message/body_envelope.h"
#include "text/json_judge.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("host={2}, timestamp={measured_s}\n{ \"host\": \"wino-0013a2\", \"soil\": 512 }"),
    FUZZ_SEED(
        "a={1}, b=1, "
        "c=\"x\"\n{\"t\":21.40,\"n\":12345678901234567890,\"age\":5200,\"a\":[{}],\"b\":{\"c\":[]}}\r\n"),
    FUZZ_SEED(
        "h=1\n{\"\\u0068\":\"\\ud83c\\udf31\",\"\xc3\xbc\":\"\xf0\x9f\x8c\xb1\",\"h\":null,\"h\":true}"),
    FUZZ_SEED("x={age_ms}\n{}"),
    FUZZ_SEED("\n {\r\n\t} "),
    FUZZ_SEED("a={topic}\n[1,-0.5e-10,\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\",[[[]]],{\"a\":{\"b\":{}}}]"),
    FUZZ_SEED("topic=1, b=2\nsoil=512"),
    FUZZ_SEED("\n\xff\xfe\x00\x01"),
    FUZZ_SEED("b=2\n\xef\xbb\xbf{\"a\":1}"),
    {NULL, 0},
};

const char *const fuzz_tokens[] = {"{",
                                   "}",
                                   "[",
                                   "]",
                                   ",",
                                   ":",
                                   "\"",
                                   "\\",
                                   "\\u0000",
                                   "\\ud83c",
                                   "\\udf31",
                                   "\\u0061",
                                   "0",
                                   "-",
                                   ".",
                                   "e",
                                   "true",
                                   "null",
                                   "\"a\":1,",
                                   "\"age\":",
                                   "{}",
                                   "[]",
                                   "\xef\xbb\xbf",
                                   "\xc2",
                                   "\x80",
                                   "\xed\xa0\x80",
                                   "\n",
                                   "\r",
                                   " ",
                                   "123456789012345678901234567890",
                                   "{topic}",
                                   NULL};

static void check_type(const struct message *message, bool json)
{
    const char *type = body_content_type(message->payload, message->payload_bytes);
    assert((strcmp(type, "application/json") == 0) == json);
    if (!utf8_valid(message->payload, message->payload_bytes))
        assert(strcmp(type, "application/octet-stream") == 0);
}

/* The payload is unchanged around the added fields. Each field was added, or its reference
 * has no value. */
static void check_object(const struct buf *body, const struct message *message, const struct body_plan *plan)
{
    const char *payload = message->payload;
    size_t bytes = message->payload_bytes;
    const char *brace = memrchr(payload, '}', bytes);
    size_t before = (size_t)(brace - payload), after = bytes - before;
    assert(body->bytes >= bytes && memcmp(body->data, payload, before) == 0);
    assert(memcmp(body->data + body->bytes - after, brace, after) == 0);

    cJSON *tree = cJSON_ParseWithLength(body->data, body->bytes);
    assert(cJSON_IsObject(tree));
    const struct fields_facts facts = {.age_ms = plan->age_ms, .gateway = plan->gateway};
    for (size_t i = 0; i < fields_count(plan->add); i++)
        assert(cJSON_GetObjectItemCaseSensitive(tree, fields_name(plan->add, i)) ||
               !fields_has_value(plan->add, i, message, &facts));
    cJSON_Delete(tree);
}

static void check_one_line(const struct buf *body, const struct message *message, struct body_plan plan)
{
    cleanup_buf struct buf line;
    char *why = NULL;
    buf_init(&line, body->bytes);
    plan.one_line = true;
    int r = body_append_json(&line, message, &plan, &why);
    assert(r == 0 && line.bytes == body->bytes);
    for (size_t i = 0; i < line.bytes; i++)
        assert(body->data[i] == '\n' || body->data[i] == '\r' ? line.data[i] == ' '
                                                              : line.data[i] == body->data[i]);
}

/* A body that is one byte too long is not appended at all. */
static void check_limit(const struct buf *body, const struct message *message, const struct body_plan *plan)
{
    cleanup_buf struct buf small;
    char *why = NULL;
    buf_init(&small, body->bytes);
    buf_append_char(&small, '[');
    int r = body_append_json(&small, message, plan, &why);
    assert(r == -EMSGSIZE && !why && small.bytes == 1 && !buf_overflowed(&small));
}

static void check_json(const struct message *message, const struct body_plan *plan, bool object)
{
    cleanup_buf struct buf body;
    cleanup_free char *why = NULL;
    buf_init(&body, 1 << 20);
    int r = body_append_json(&body, message, plan, &why);
    assert(r == (object ? 0 : -EINVAL) && (r == 0) == !why);
    if (r < 0) {
        assert(body.bytes == 0 && strncmp(why, "no JSON object: ", 16) == 0);
        return;
    }
    check_object(&body, message, plan);
    check_one_line(&body, message, *plan);
    check_limit(&body, message, plan);
}

static void check_base64(const char *text, const struct message *message)
{
    size_t length = strlen(text);
    cleanup_free unsigned char *bytes = xcalloc(length + 1, 1);
    assert(length == (message->payload_bytes + 2) / 3 * 4);
    assert(EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)length) >= 0);
    assert(memcmp(bytes, message->payload, message->payload_bytes) == 0);
}

static void check_envelope(const struct message *message, const struct body_plan *plan, bool json)
{
    cleanup_buf struct buf body;
    buf_init(&body, 1 << 20);
    assert(body_append_envelope(&body, message, plan) == 0);
    cJSON *tree = cJSON_ParseWithLength(body.data, body.bytes);
    assert(cJSON_IsObject(tree));
    const char *topic = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "topic"));
    const char *encoding = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "encoding"));
    const char *payload = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "payload"));
    if (utf8_valid(message->topic, strlen(message->topic)))
        assert(strcmp(topic, message->topic) == 0);
    assert(json == !encoding);
    if (json)
        assert(memmem(body.data, body.bytes, message->payload, message->payload_bytes));
    else if (strcmp(encoding, "base64") == 0)
        check_base64(payload, message);
    else /* cJSON's text ends at a NUL */
        assert(strncmp(payload, message->payload, message->payload_bytes) == 0);
    cJSON_Delete(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const uint8_t *line_end = bytes > 0 ? memchr(data, '\n', bytes) : NULL;
    if (!line_end)
        return 0;
    cleanup_free char *line = xstrndup((const char *)data, (size_t)(line_end - data));
    cleanup_free char *why = NULL;
    struct fields *add = NULL;
    if (fields_parse(line, &add, &why) < 0)
        add = NULL;

    const struct message message = {.topic = line,
                                    .key = "5f0c-42",
                                    .received_ms = 1795368796123,
                                    .payload = line_end + 1,
                                    .payload_bytes = bytes - (size_t)(line_end - data) - 1};
    const struct body_plan plan = {.add = add, .age_ms = -1, .gateway = "pi"};
    const char *payload = message.payload;
    bool json = json_judge(payload, message.payload_bytes);
    size_t blanks = 0;
    while (json && strchr("\t\n\r ", payload[blanks]))
        blanks++;
    check_type(&message, json);
    check_json(&message, &plan, json && payload[blanks] == '{');
    check_envelope(&message, &plan, json);
    fields_free(add);
    return 0;
}
