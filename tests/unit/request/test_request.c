/* test_request.c - the request that is made of a message. */
#include "unit.h"

#include "request/request.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct config_pair query[] = {{"user_key", "a b&c=d", true}, {"unit", "1", false}};
static struct config_pair headers[] = {{"X-Garden", "north", false}};

struct scene {
    struct config_backend backend;
    struct config_route route;
    struct message message;
    struct request request;
};

static int setup(void **state)
{
    struct scene *scene = xcalloc(1, sizeof *scene);
    char *why = NULL;
    scene->backend.url = xstrdup("https://garden.example.org/api");
    assert_int_equal(path_template_parse("/collections/{2}", &scene->route.path, &why), 0);
    scene->message = (struct message){.topic = "garden/wino-1/sensor",
                                      .key = "5f0c8a4be19d7723-42",
                                      .payload = "{\"soil\": 512}",
                                      .payload_bytes = 13,
                                      .received_ms = INT64_C(1795368796123),
                                      .clock_synchronised = true};
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    request_done(&scene->request);
    path_template_free(scene->route.path);
    free(scene->backend.url);
    free(scene);
    return 0;
}

static int make(struct scene *scene, int64_t age_ms, char **ret_why)
{
    const char *reason = NULL;
    request_begin(&scene->request, "shed", &scene->backend, &scene->route, 0);
    int error = request_add(&scene->request, &scene->message, age_ms, &reason, ret_why);
    return error != 0 ? error : request_finish(&scene->request, &reason, ret_why);
}

/* The value of a header, or NULL. */
static const char *header(const struct scene *scene, const char *name)
{
    const char *line = buf_text(&scene->request.headers), *end = line + scene->request.headers.bytes;
    for (; line < end; line += strlen(line) + 1)
        if (strncmp(line, name, strlen(name)) == 0 && strncmp(line + strlen(name), ": ", 2) == 0)
            return line + strlen(name) + 2;
    return NULL;
}

static void what_the_readme_shows(void **state)
{
    struct scene *scene = *state;
    char *why = NULL;
    assert_int_equal(make(scene, 212, &why), 0);
    assert_string_equal(buf_text(&scene->request.url), "https://garden.example.org/api/collections/wino-1");
    assert_string_equal(header(scene, "Content-Type"), "application/json");
    assert_string_equal(header(scene, "Idempotency-Key"), "5f0c8a4be19d7723-42");
    assert_string_equal(header(scene, "Sluice-Topic"), "garden/wino-1/sensor");
    assert_string_equal(header(scene, "Sluice-Received"), "2026-11-22T17:33:16.123Z");
    assert_string_equal(header(scene, "Sluice-Age"), "212");
    assert_null(header(scene, "Sluice-Clock"));
    assert_null(header(scene, "Sluice-Late"));
    assert_null(header(scene, "Authorization"));
    assert_ptr_equal(scene->request.body, scene->message.payload);
    assert_int_equal(scene->request.body_bytes, 13);
}

static void queries_headers_and_credentials(void **state)
{
    struct scene *scene = *state;
    char *why = NULL;
    scene->backend.query = (struct config_pairs){query, 2};
    scene->backend.headers = (struct config_pairs){headers, 1};
    scene->backend.username = "pi";
    scene->backend.password = "raspberry";
    assert_int_equal(make(scene, 0, &why), 0);
    assert_string_equal(buf_text(&scene->request.url),
                        "https://garden.example.org/api/collections/wino-1?user_key=a%20b%26c%3Dd&unit=1");
    assert_string_equal(header(scene, "X-Garden"), "north");
    assert_string_equal(header(scene, "Authorization"), "Basic cGk6cmFzcGJlcnJ5");
}

/* A topic may hold anything; the header can be decoded again and adds no line. */
static void a_topic_injects_no_header(void **state)
{
    struct scene *scene = *state;
    char *why = NULL;
    scene->message.topic = "garden/x/a b%\r\nX-Evil: 1\xc3\xbc";
    assert_int_equal(make(scene, 0, &why), 0);
    assert_string_equal(header(scene, "Sluice-Topic"), "garden/x/a%20b%25%0D%0AX-Evil:%201%C3%BC");
    assert_null(header(scene, "X-Evil"));
}

static void what_is_not_known_or_too_long_is_left_out(void **state)
{
    struct scene *scene = *state;
    char *why = NULL;
    char topic[5000];
    memset(topic, 'x', sizeof topic);
    memcpy(topic, "a/b/", 4);
    topic[sizeof topic - 1] = '\0';
    scene->message.topic = topic;
    assert_int_equal(make(scene, -1, &why), 0);
    assert_null(header(scene, "Sluice-Topic"));
    assert_null(header(scene, "Sluice-Age"));
    assert_non_null(header(scene, "Idempotency-Key"));
}

static void the_route_decides_on_the_type_then_the_sender(void **state)
{
    struct scene *scene = *state;
    char *why = NULL;
    scene->message.content_type = "text/csv";
    assert_int_equal(make(scene, 0, &why), 0);
    assert_string_equal(header(scene, "Content-Type"), "text/csv");
    scene->route.content_type = "application/json";
    assert_int_equal(make(scene, 0, &why), 0); /* made anew in the same memory */
    assert_string_equal(header(scene, "Content-Type"), "application/json");
}

static void levels_that_cannot_be_used_are_told(void **state)
{
    struct scene *scene = *state;
    static const char *const topics[] = {"garden", "garden//sensor", "garden/../sensor", "garden/./x"};
    for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
        char *why = NULL;
        scene->message.topic = topics[i];
        assert_int_equal(make(scene, 0, &why), -EINVAL);
        assert_non_null(why);
        free(why);
    }
}

/* A wrong date must not be taken for a right one, and the order must be kept. */
static void a_time_that_is_not_certain_is_marked(void **state)
{
    struct scene *scene = *state;
    char *why = NULL;
    scene->message.clock_synchronised = false;
    assert_int_equal(make(scene, 212, &why), 0);
    assert_string_equal(header(scene, "Sluice-Clock"), "unsynchronised");
    assert_string_equal(header(scene, "Sluice-Received"), "2026-11-22T17:33:16.123Z");
    assert_string_equal(header(scene, "Sluice-Age"), "212");
}

static void what_waited_at_the_broker_says_since_when(void **state)
{
    struct scene *scene = *state;
    char *why = NULL;
    scene->message.late = true;
    scene->message.late_since_ms = INT64_C(1795363260000);
    assert_int_equal(make(scene, 212, &why), 0);
    assert_string_equal(header(scene, "Sluice-Late"), "since 2026-11-22T16:01:00.000Z");
    scene->message.late_since_ms = INT64_MIN; /* nonsense fits, too */
    assert_int_equal(make(scene, 212, &why), 0);
    assert_string_equal(header(scene, "Sluice-Late"), "since 0000-01-01T00:00:00.000Z");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void set_http(struct scene *scene, const char *method, const char *target)
{
    scene->message.source = "http";
    scene->message.method = method;
    scene->message.target = target;
    scene->message.topic = "10.0.0.1/api/c";
    scene->message.content_type = "text/json";
}

static void an_http_client_s_request_keeps_its_shape(void **state)
{
    struct scene *scene = *state;
    char *why = NULL;
    set_http(scene, "PATCH", "/api/c;v=%41/?user%5fkey=mine&n");
    scene->route.query = (struct config_pairs){headers, ARRAY_LEN(headers)};
    scene->backend.query = (struct config_pairs){query, ARRAY_LEN(query)};
    assert_int_equal(make(scene, 0, &why), 0);
    assert_string_equal(buf_text(&scene->request.url),
                        "https://garden.example.org/api/c;v=%41/?user%5fkey=mine&n&X-Garden=north&unit=1");
    assert_string_equal(scene->request.method, "PATCH");
    assert_string_equal(header(scene, "Content-Type"), "text/json");
    assert_string_equal(header(scene, "Sluice-Topic"), "10.0.0.1/api/c");
    /* The next one is of another kind. */
    scene->message.method = scene->message.target = NULL;
    scene->message.topic = "garden/wino-1/sensor";
    scene->backend.query.count = scene->route.query.count = 0;
    assert_int_equal(make(scene, 0, &why), 0);
    assert_string_equal(scene->request.method, "");
    assert_string_equal(buf_text(&scene->request.url), "https://garden.example.org/api/collections/wino-1");
}

/* Whatever the database says. */
static void a_stored_target_is_looked_at_again(void **state)
{
    static const char *const targets[] = {"/api/../x", "/x", "https://h/api", "", "/api/x#y", "/api/x y"};
    struct scene *scene = *state;
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        char *why = NULL;
        set_http(scene, "POST", targets[i]);
        assert_int_equal(make(scene, 0, &why), -EINVAL);
        assert_non_null(why);
        free(why);
    }
}

static void what_is_passed_on(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(request_pass(&scene->request, &scene->backend, &scene->route, "HEAD", "/api/c?a=b",
                                  "x/y", "Basic eA=="),
                     0);
    assert_string_equal(scene->request.method, "HEAD");
    assert_string_equal(buf_text(&scene->request.url), "https://garden.example.org/api/c?a=b");
    assert_string_equal(header(scene, "Accept"), "x/y");
    assert_string_equal(header(scene, "Authorization"), "Basic eA==");
    assert_null(header(scene, "Idempotency-Key"));
    static char token[] = "t0ken"; /* the backend's own counts */
    scene->backend.bearer = token;
    assert_int_equal(
        request_pass(&scene->request, &scene->backend, &scene->route, "GET", "/api", NULL, "Basic eA=="), 0);
    assert_string_equal(header(scene, "Authorization"), "Bearer t0ken");
    static const char *const bad[] = {"a\rX: 1", "a\nX: 1", "\x7f", "gr\xc3\xbcn"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(
            request_pass(&scene->request, &scene->backend, &scene->route, "GET", "/api", bad[i], NULL),
            -EINVAL);
        assert_int_equal(
            request_pass(&scene->request, &scene->backend, &scene->route, "GET", "/api", NULL, bad[i]),
            -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_the_readme_shows),
        TEST(queries_headers_and_credentials),
        TEST(a_topic_injects_no_header),
        TEST(what_is_not_known_or_too_long_is_left_out),
        TEST(the_route_decides_on_the_type_then_the_sender),
        TEST(levels_that_cannot_be_used_are_told),
        TEST(a_time_that_is_not_certain_is_marked),
        TEST(what_waited_at_the_broker_says_since_when),
        TEST(an_http_client_s_request_keeps_its_shape),
        TEST(a_stored_target_is_looked_at_again),
        TEST(what_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
