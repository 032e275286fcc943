/* test_request_batch.c - the request that is made of several messages. */
#include "config/config_text.h"

#include "request/digest.h"
#include "request/request.h"
#include <stdio.h>
#define ZLIB_CONST
#include <zlib.h>

enum { ROOM = 65536 };

struct scene {
    struct config *config;
    struct request request;
    size_t room;
    const char *reason;
    char *why;
};

static struct scene scene;

/* A backend and a route of these further lines. */
static void begin(const char *backend, const char *route)
{
    cleanup_free char *text = xasprintf(BACKEND "%s" ROUTE "%s", backend, route);
    config_free(scene.config);
    scene.config = parsed(text);
    request_begin(&scene.request, "shed", &scene.config->backends[0], &scene.config->routes[0], scene.room);
}

static int setup(void **state)
{
    memset(&scene, 0, sizeof scene);
    scene.room = ROOM;
    return 0;
}

static int teardown(void **state)
{
    request_done(&scene.request);
    config_free(scene.config);
    free(scene.why);
    return 0;
}

static struct message message_of(unsigned number, const char *topic, const char *payload)
{
    struct message message = {.topic = topic,
                              .payload = payload,
                              .payload_bytes = strlen(payload),
                              .received_ms = INT64_C(1795368796123) + number,
                              .clock_synchronised = true};
    snprintf(message.key, sizeof message.key, "5f0c-%u", number);
    return message;
}

static int add_message(const struct message *message)
{
    free(scene.why);
    scene.why = NULL;
    scene.reason = NULL;
    return request_add(&scene.request, message, 212, &scene.reason, &scene.why);
}

static int add_at(unsigned number, const char *topic, const char *payload)
{
    struct message message = message_of(number, topic, payload);
    return add_message(&message);
}

static int add(unsigned number, const char *payload)
{
    return add_at(number, "garden/1/sensor", payload);
}

static void finish(void)
{
    assert_int_equal(request_finish(&scene.request, &scene.reason, &scene.why), 0);
}

static const char *header(const char *name)
{
    const char *line = buf_text(&scene.request.headers), *end = line + scene.request.headers.bytes;
    for (; line < end; line += strlen(line) + 1)
        if (strncmp(line, name, strlen(name)) == 0 && strncmp(line + strlen(name), ": ", 2) == 0)
            return line + strlen(name) + 2;
    return NULL;
}

static void expect_body(const char *body)
{
    cleanup_free char *is =
        xasprintf("%.*s", (int)scene.request.body_bytes, (const char *)scene.request.body);
    assert_string_equal(is, body);
    assert_int_equal(scene.request.body_bytes, strlen(body));
}

static void expect_header(const char *name, const char *value)
{
    const char *is = header(name);
    if (!is != !value || (is && strcmp(is, value) != 0))
        fail_msg("%s: %s instead of %s", name, is ? is : "(none)", value ? value : "(none)");
}

/* ---- bodies ---- */

static void an_array_of_several(void **state)
{
    begin("", "body = json\nbatch = 10\nadd = n={2}\n");
    assert_int_equal(add(1, "{\"a\":21.40}"), 0);
    assert_int_equal(add(2, "{}"), 0);
    assert_int_equal(add(3, " {\"b\":1} "), 0);
    finish();
    expect_body("[{\"a\":21.40,\"n\":\"1\"},{\"n\":\"1\"}, {\"b\":1,\"n\":\"1\"} ]");
    assert_int_equal(scene.request.messages, 3);
    assert_int_equal(scene.request.full_bytes, scene.request.body_bytes);
    expect_header("Content-Type", "application/json");
}

/* The backend need not know two forms. */
static void an_array_of_one(void **state)
{
    begin("", "body = json\nbatch = 10\n");
    assert_int_equal(add(1, "{\"a\":1}"), 0);
    finish();
    expect_body("[{\"a\":1}]");
    expect_header("Idempotency-Key", "5f0c-1");
}

static void without_batch_it_is_no_array_and_takes_one(void **state)
{
    begin("", "body = json\n");
    assert_int_equal(add(1, "{\"a\":1}"), 0);
    assert_int_equal(add(2, "{\"a\":2}"), -EXDEV);
    finish();
    expect_body("{\"a\":1}");
    begin("", "");
    assert_int_equal(add(1, "{\"a\":1}"), 0);
    assert_int_equal(add(2, "{\"a\":2}"), -EXDEV);
    finish();
    expect_body("{\"a\":1}");
}

static void lines(void **state)
{
    begin("", "body = json\nbatch = 10\nbatch_format = ndjson\n");
    assert_int_equal(add(1, "{\"a\":\n1}"), 0);
    assert_int_equal(add(2, "{\"a\":2}\r\n"), 0);
    finish();
    expect_body("{\"a\": 1}\n{\"a\":2}  \n");
    expect_header("Content-Type", "application/x-ndjson");
    begin("", "body = json\nbatch = 10\nbatch_format = ndjson\ncontent_type = application/jsonl\n");
    assert_int_equal(add(1, "{}"), 0);
    finish();
    expect_body("{}\n");
    expect_header("Content-Type", "application/jsonl");
}

static void envelopes_take_any_payload(void **state)
{
    begin("", "body = envelope\nbatch = 10\n");
    assert_int_equal(add(1, "{}"), 0);
    assert_int_equal(add(2, "no JSON"), 0);
    finish();
    assert_int_equal(scene.request.messages, 2);
    assert_int_equal(*(const char *)scene.request.body, '[');
    cleanup_free char *body =
        xasprintf("%.*s", (int)scene.request.body_bytes, (const char *)scene.request.body);
    assert_non_null(strstr(body, "\"payload\":{}},{"));
    assert_non_null(strstr(body, "\"payload\":\"no JSON\""));
}

/* ---- what cannot share a request ---- */

static void another_url_is_another_request(void **state)
{
    begin("", "body = json\nbatch = 10\npath = /{2}\n");
    assert_int_equal(add_at(1, "garden/1/sensor", "{}"), 0);
    assert_int_equal(add_at(2, "garden/2/sensor", "{}"), -EXDEV);
    assert_int_equal(add_at(3, "garden//sensor", "{}"), -EINVAL); /* it can go nowhere */
    assert_string_equal(scene.reason, "path");
    assert_int_equal(add_at(4, "garden/1/sensor", "{}"), 0);
    finish();
    assert_int_equal(scene.request.messages, 2);
    assert_string_equal(buf_text(&scene.request.url), "https://h/api/1");
    begin("", "body = json\nbatch = 10\npath = /all\n");
    assert_int_equal(add_at(1, "garden/1/sensor", "{}"), 0);
    assert_int_equal(add_at(2, "garden/2/sensor", "{}"), 0);
}

/* To the byte; the first one always has room, for what else should become of it. */
static void it_has_as_much_room_as_it_is_given(void **state)
{
    static const char *const formats[] = {"array", "ndjson"};
    static const size_t bytes[] = {sizeof "[{\"a\":1},{\"a\":2}]" - 1, sizeof "{\"a\":1}\n{\"a\":2}\n" - 1};
    for (size_t i = 0; i < 2; i++) {
        cleanup_free char *route = xasprintf("body = json\nbatch = 10\nbatch_format = %s\n", formats[i]);
        scene.room = bytes[i] + i; /* lines are taken to have an end as well */
        begin("", route);
        assert_int_equal(add(1, "{\"a\":1}"), 0);
        assert_int_equal(add(2, "{\"a\":2}"), 0);
        assert_int_equal(add(3, "{}"), -EMSGSIZE);
        finish();
        assert_int_equal(scene.request.body_bytes, bytes[i]);
        scene.room = bytes[i] + i - 1;
        begin("", route);
        assert_int_equal(add(1, "{\"a\":1}"), 0);
        assert_int_equal(add(2, "{\"a\":2}"), -EMSGSIZE);
        assert_int_equal(add(3, "{}"), 0); /* a shorter one still fits */
        scene.room = 3;
        begin("", route);
        assert_int_equal(add(1, "{\"a\":1}"), 0);
        assert_int_equal(add(2, "{}"), -EMSGSIZE);
    }
}

static void what_is_no_object_is_told_or_goes_alone(void **state)
{
    begin("", "body = json\nbatch = 10\n");
    assert_int_equal(add(1, "[1]"), -EINVAL);
    assert_string_equal(scene.reason, "body");
    assert_non_null(scene.why);
    assert_int_equal(add(2, "{}"), 0);
    assert_int_equal(add(3, "21.5"), -EINVAL);
    assert_int_equal(add(4, "{}"), 0);
    finish();
    expect_body("[{},{}]");
    begin("", "body = json\nbatch = 10\nnot_object = raw\n");
    assert_int_equal(add(1, "{}"), 0);
    assert_int_equal(add(2, "21.5"), -EXDEV);
    assert_int_equal(add(3, "{}"), 0);
    finish();
    expect_body("[{},{}]");
    expect_header("Content-Type", "application/json");
    begin("", "body = json\nbatch = 10\nnot_object = raw\n");
    assert_int_equal(add(2, "half past six"), 0);
    assert_int_equal(add(3, "{}"), -EXDEV);
    finish();
    expect_body("half past six");
    expect_header("Content-Type", "text/plain; charset=utf-8");
    expect_header("Idempotency-Key", "5f0c-2");
}

/* ---- headers ---- */

static void of_several_only_what_holds_for_all_is_told(void **state)
{
    begin("", "body = json\nbatch = 10\n");
    assert_int_equal(add(1, "{}"), 0);
    assert_int_equal(add(2, "{}"), 0);
    finish();
    expect_header("Sluice-Messages", "2");
    expect_header("Sluice-Topic", "garden/1/sensor");
    expect_header("Sluice-Received", NULL);
    expect_header("Sluice-Age", NULL);
    expect_header("Sluice-Clock", NULL);
    begin("", "body = json\nbatch = 10\n");
    struct message wrong = message_of(2, "garden/2/sensor", "{}");
    wrong.clock_synchronised = false;
    wrong.late = true;
    assert_int_equal(add(1, "{}"), 0);
    assert_int_equal(add_message(&wrong), 0);
    assert_int_equal(add(3, "{}"), 0);
    finish();
    expect_header("Sluice-Messages", "3");
    expect_header("Sluice-Topic", NULL);
    expect_header("Sluice-Clock", "unsynchronised");
    expect_header("Sluice-Late", NULL);
    begin("", "body = json\nbatch = 10\n"); /* nothing is left of the one before */
    assert_int_equal(add(1, "{}"), 0);
    finish();
    expect_header("Sluice-Messages", NULL);
    expect_header("Sluice-Topic", "garden/1/sensor");
    expect_header("Sluice-Received", "2026-11-22T17:33:16.124Z");
    expect_header("Sluice-Age", "212");
    expect_header("Sluice-Clock", NULL);
}

/* What the sender said of one of them says nothing of the array. */
static void a_sender_does_not_name_the_type_of_a_batch(void **state)
{
    struct message message = message_of(1, "garden/1/sensor", "{}");
    message.content_type = "text/csv";
    begin("", "body = json\nbatch = 10\n");
    assert_int_equal(add_message(&message), 0);
    assert_int_equal(add_message(&message), 0);
    finish();
    expect_header("Content-Type", "application/json");
}

static char *key_of(unsigned first, unsigned count)
{
    begin("", "body = json\nbatch = 10\n");
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(add(first + i, "{}"), 0);
    finish();
    return xstrdup(header("Idempotency-Key"));
}

/* The same messages have the same key whenever they are sent together; others never. */
static void a_batch_has_a_key_of_its_members(void **state)
{
    cleanup_free char *three = key_of(1, 3), *again = key_of(1, 3), *two = key_of(1, 2),
                      *others = key_of(2, 3), *one = key_of(1, 1);
    assert_string_equal(three, again);
    assert_string_not_equal(three, two);
    assert_string_not_equal(three, others);
    assert_string_not_equal(two, others);
    assert_string_equal(one, "5f0c-1");
    struct digest *digest = digest_new(); /* names do not run into each other */
    char text[DIGEST_TEXT_BYTES];
    digest_start(digest);
    digest_add(digest, "5f0c-1\0005f0c-2", sizeof "5f0c-1\0005f0c-2");
    digest_end(digest, text);
    assert_string_equal(two, text);
    digest_free(digest);
}

static void what_did_not_fit_has_no_part_in_the_key(void **state)
{
    cleanup_free char *two = key_of(1, 2);
    begin("", "body = json\nbatch = 10\npath = /{2}\n");
    assert_int_equal(add(1, "{}"), 0);
    assert_int_equal(add_at(7, "garden/2/sensor", "{}"), -EXDEV);
    assert_int_equal(add(8, "none"), -EINVAL);
    assert_int_equal(add(2, "{}"), 0);
    finish();
    expect_header("Idempotency-Key", two);
}

/* ---- gzip ---- */

static void long_bodies_are_compressed_where_that_is_wanted(void **state)
{
    static unsigned char plain[ROOM];
    begin("gzip = yes\n", "body = json\nbatch = 100\n");
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(add(i, "{\"soil\":512}"), 0);
    finish();
    expect_header("Content-Encoding", "gzip");
    assert_int_equal(scene.request.full_bytes, 100 * 13 + 1);
    assert_in_range(scene.request.body_bytes, 20, 200);
    z_stream stream = {.next_in = scene.request.body,
                       .avail_in = (unsigned)scene.request.body_bytes,
                       .next_out = plain,
                       .avail_out = sizeof plain};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.total_out, scene.request.full_bytes);
    inflateEnd(&stream);
    assert_memory_equal(plain, "[{\"soil\":512},{", 15);
    begin("gzip = yes\n", "body = json\nbatch = 100\n"); /* nothing is gained */
    assert_int_equal(add(1, "{\"soil\":512}"), 0);
    finish();
    expect_header("Content-Encoding", NULL);
    expect_body("[{\"soil\":512}]");
}

static void by_default_nothing_is_compressed(void **state)
{
    begin("", "body = json\nbatch = 100\n");
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(add(i, "{\"soil\":512}"), 0);
    finish();
    expect_header("Content-Encoding", NULL);
    assert_int_equal(scene.request.body_bytes, 100 * 13 + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_array_of_several),
        TEST(an_array_of_one),
        TEST(without_batch_it_is_no_array_and_takes_one),
        TEST(lines),
        TEST(envelopes_take_any_payload),
        TEST(another_url_is_another_request),
        TEST(it_has_as_much_room_as_it_is_given),
        TEST(what_is_no_object_is_told_or_goes_alone),
        TEST(of_several_only_what_holds_for_all_is_told),
        TEST(a_sender_does_not_name_the_type_of_a_batch),
        TEST(a_batch_has_a_key_of_its_members),
        TEST(what_did_not_fit_has_no_part_in_the_key),
        TEST(long_bodies_are_compressed_where_that_is_wanted),
        TEST(by_default_nothing_is_compressed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
