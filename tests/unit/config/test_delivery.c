/* Keys that say what is made of a message, and what responses mean. */
#include "config/config_text.h"

static void defaults(void **state)
{
    struct config *config = parsed(BACKEND ROUTE);
    const struct config_backend *backend = &config->backends[0];
    const struct config_route *route = &config->routes[0];

    assert_null(backend->cert_file);
    assert_null(backend->key_file);
    assert_int_equal(backend->rate_per_s, 0);
    assert_false(backend->gzip);
    assert_int_equal(backend->on_status.count, 0);
    assert_null(backend->expect_body);
    assert_int_equal(route->body, CONFIG_BODY_RAW);
    assert_null(route->add);
    assert_int_equal(route->not_object, CONFIG_NOT_OBJECT_DEAD);
    assert_int_equal(route->batch, 0);
    assert_int_equal(route->batch_size, 65536);
    assert_int_equal(route->format, CONFIG_FORMAT_ARRAY);
    assert_int_equal(route->linger_ms, 0);
    assert_int_equal(route->on_status.count, 0);
    assert_null(route->expect_body);
    config_free(config);
}

static void every_key(void **state)
{
    struct config *config = parsed(
        BACKEND "cert_file = /c\nkey_file = /k\nrate = 1000000\ngzip = yes\nexpect_body = \"ok\":true\n"
                "on_status = 404:dead\n" ROUTE "body = json\nadd = host={2}\nnot_object = raw\nbatch = 1000\n"
                "batch_size = 1M\nbatch_format = ndjson\nlinger = 1h\nexpect_body = stored, all of it\n"
                "on_status = 599:retry\n[route all]\ntopic = #\nbody = envelope\nadd = a={99}\nbatch = 1\n"
                "batch_size = 1K\nbatch_format = array\nlinger = 0s\n");
    const struct config_backend *backend = &config->backends[0];
    const struct config_route *route = &config->routes[0];

    assert_string_equal(backend->cert_file, "/c");
    assert_string_equal(backend->key_file, "/k");
    assert_int_equal(backend->rate_per_s, 1000000);
    assert_true(backend->gzip);
    assert_string_equal(backend->expect_body, "\"ok\":true");
    assert_int_equal(backend->on_status.count, 1);
    assert_int_equal(route->body, CONFIG_BODY_JSON);
    assert_int_equal(fields_count(route->add), 1);
    assert_int_equal(route->not_object, CONFIG_NOT_OBJECT_RAW);
    assert_int_equal(route->batch, 1000);
    assert_int_equal(route->batch_size, 1 << 20);
    assert_int_equal(route->format, CONFIG_FORMAT_NDJSON);
    assert_int_equal(route->linger_ms, 3600 * 1000);
    assert_string_equal(route->expect_body, "stored, all of it");
    assert_int_equal(route->on_status.count, 1);
    assert_int_equal(route->on_status.items[0].status, 599);

    route = &config->routes[1];
    assert_int_equal(route->body, CONFIG_BODY_ENVELOPE);
    assert_int_equal(fields_highest_level(route->add), 99); /* '#' may match as many */
    assert_int_equal(route->batch, 1);
    assert_int_equal(route->batch_size, 1024);
    assert_int_equal(route->format, CONFIG_FORMAT_ARRAY);
    config_free(config);
}

static void lines_of_add_are_one_list(void **state)
{
    static const char *const names[] = {"host", "timestamp", "site", "version"};
    struct config *config = parsed(BACKEND ROUTE "add = host={2}, timestamp={received_s}\nbody = json\n"
                                                 "add = site=\"bed {1}, {2}\"\nadd = version=3\n");
    const struct fields *add = config->routes[0].add;

    assert_int_equal(fields_count(add), ARRAY_LEN(names));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_string_equal(fields_name(add, i), names[i]);
    config_free(config);
}

static void lists_of_two_routes_stay_apart(void **state)
{
    struct config *config = parsed(BACKEND ROUTE "body = json\nadd = host={2}\n"
                                                 "[route two]\ntopic = a\nbody = json\nadd = host={1}\n");

    assert_int_equal(fields_count(config->routes[0].add), 1);
    assert_int_equal(fields_count(config->routes[1].add), 1);
    config_free(config);
}

static void statuses_are_sorted(void **state)
{
    static const struct config_status_rule expected[] = {
        {100, CONFIG_MEANS_DELIVERED}, {404, CONFIG_MEANS_DEAD},  {409, CONFIG_MEANS_DELIVERED},
        {500, CONFIG_MEANS_LATER},     {501, CONFIG_MEANS_RETRY}, {502, CONFIG_MEANS_HOLD},
        {599, CONFIG_MEANS_HOLD},
    };
    struct config *config = parsed(
        ROUTE BACKEND "on_status = 599:hold, 409 : delivered\non_status=501:retry ,404:dead,\t502:hold\n"
                      "on_status = 500:later\non_status = 100:delivered\n");
    const struct config_rules *rules = &config->backends[0].on_status;
    assert_int_equal(rules->count, ARRAY_LEN(expected));
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_int_equal(rules->items[i].status, expected[i].status);
        assert_int_equal(rules->items[i].meaning, expected[i].meaning);
    }
    config_free(config);
}

/* As in test_config.c: the error is the only one. BACKEND and ROUTE have two lines
 * each. */
static void errors_stand_alone(void **state)
{
    static const struct {
        const char *backend, *route, *start;
    } cases[] = {
        {"cert_file = /c\n", "", "3: cert_file needs key_file in the same section"},
        {"key_file = /k\n", "", "3: key_file needs cert_file in the same section"},
        {"rate = 0\n", "", "3: rate = 0: must be a number from 1 to 1000000"},
        {"rate = 10/s\n", "", "3: rate = 10/s: must be a number"},
        {"gzip = 9\n", "", "3: gzip = 9: must be yes or no"},
        {"expect_body =\n", "", "3: expect_body has no value"},
        {"on_status = 404\n", "", "3: on_status = 404: '404' must be STATUS:MEANING, such as 404:dead"},
        {"on_status = 404:dead,\n", "",
         "3: on_status = 404:dead,: STATUS:MEANING is missing before or after a ','"},
        {"on_status = 4xx:dead\n", "", "3: on_status = 4xx:dead: '4xx' is not a status; it must be a number"},
        {"on_status = 099:dead\n", "", "3: on_status = 099:dead: '099' is not a status"},
        {"on_status = 600:dead\n", "", "3: on_status = 600:dead: '600' is not a status"},
        {"on_status = 4040:dead\n", "", "3: on_status = 4040:dead: '4040' is not a status"},
        {"on_status = :dead\n", "", "3: on_status = :dead: '' is not a status"},
        {"on_status = 404:\n", "", "3: on_status = 404:: a meaning is missing after ':'; it must be"},
        {"on_status = 404:ded\n", "", "3: on_status = 404:ded: unknown meaning 'ded'; did you mean 'dead'?"},
        {"on_status = 404:drop\n", "", "3: on_status = 404:drop: unknown meaning 'drop'; it must be"},
        {"on_status = 404:dead, 404:hold\n", "",
         "3: on_status = 404:dead, 404:hold: 404 has a meaning already; delete one of the two"},
        {"on_status = 404:dead\non_status = 404:dead\n", "",
         "4: on_status = 404:dead: 404 has a meaning already"},
        {"", "body = xml\nadd = a=1\nbatch = 2\nnot_object = raw\n", "5: body = xml: must be raw, json or"},
        {"", "add = a=1\n", "5: add has an effect with body = json or body = envelope only"},
        {"", "body = raw\nadd = a=1\nadd = b=1\n",
         "6: add has an effect with body = json or body = envelope only"},
        {"", "body = json\nadd = host={2}\nadd = timestamp\n", "7: add = timestamp: "},
        {"", "body = json\nadd = host={2}\nadd = a=1, host={1}\n", "7: add = a=1, host={1}: "},
        {"", "add = host\n", "5: add = host: "},
        {"", "body = json\nadd = a={4}\n",
         "6: add has {4}, but topics that match 'garden/+/sensor' have no level 4"},
        {"", "body = json\nnot_object = hold\n", "6: not_object = hold: must be dead, raw or ignore"},
        {"", "not_object = dead\n", "5: not_object has an effect with body = json only"},
        {"", "body = envelope\nnot_object = raw\n", "6: not_object has an effect with body = json only"},
        {"", "batch = 10\n", "5: batch has an effect with body = json or body = envelope only"},
        {"", "body = json\nbatch = 0\nlinger = 1s\n", "6: batch = 0: must be a number from 1 to 1000"},
        {"", "body = json\nbatch = 1001\n", "6: batch = 1001: must be a number from 1 to 1000"},
        {"", "body = json\nbatch = 2\nbatch_size = 1023\n", "7: batch_size = 1023: a size needs a unit"},
        {"", "body = json\nbatch = 2\nbatch_size = 2M\n", "7: batch_size = 2M: must be from 1K to 1M"},
        {"", "body = json\nbatch = 2\nbatch_format = csv\n",
         "7: batch_format = csv: must be array or ndjson"},
        {"", "body = json\nbatch = 2\nlinger = 61m\n", "7: linger = 61m: must be from 0s to 1h"},
        {"", "body = json\nbatch_size = 64K\n", "6: batch_size has an effect with batch only"},
        {"", "batch_format = array\n", "5: batch_format has an effect with batch only"},
        {"", "linger = 0s\n", "5: linger has an effect with batch only"},
        {"", "on_status = 200\n", "5: on_status = 200: '200' must be STATUS:MEANING"},
        {"", "expect_body = a\nexpect_body = b\n", "6: expect_body is already set in a.conf:5"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *text = xasprintf("%s%s%s%s", BACKEND, cases[i].backend, ROUTE, cases[i].route);

        expect_error(text, cases[i].start);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(every_key),
        cmocka_unit_test(lines_of_add_are_one_list),
        cmocka_unit_test(lists_of_two_routes_stay_apart),
        cmocka_unit_test(statuses_are_sorted),
        cmocka_unit_test(errors_stand_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
