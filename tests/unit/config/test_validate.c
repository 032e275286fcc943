#include "config/config_text.h"

static void tls_and_its_port(void **state)
{
    static const struct {
        const char *keys;
        bool tls;
        unsigned port;
    } cases[] = {
        {"", false, 1883},
        {"tls = no", false, 1883},
        {"tls = yes", true, 8883},
        {"ca_file = /ca", true, 8883},
        {"port = 1883\nca_file = /ca", true, 1883},
        {"cert_file = /c\nkey_file = /k\ntls = yes", true, 8883},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *text = xasprintf("%s%s[broker]\n%s\n", BACKEND, ROUTE, cases[i].keys);
        struct config *config = parsed(text);

        assert_int_equal(config->broker.tls, cases[i].tls);
        assert_int_equal(config->broker.port, cases[i].port);
        config_free(config);
    }
}

static void a_route_is_found_by_its_former_name(void **state)
{
    struct config *config =
        parsed(BACKEND "[route one]\ntopic = a\nformerly = old\n[route two]\ntopic = b\n");
    assert_int_equal(config_find_route(config, "old"), 0);
    assert_int_equal(config_find_route(config, "two"), 1);
    assert_true(config_find_route(config, "three") == SIZE_MAX);
    config_free(config);
}

static void routes_find_backends(void **state)
{
    struct config *config = parsed("[route one]\ntopic = a/#\ntopic = b\nbackend = two\npath = /c/{1}\n"
                                   "content_type = text/plain;charset=utf-8\nretained = yes\norder = none\n"
                                   "[backend one]\nurl = https://h\n[backend two]\nurl = https://h\n"
                                   "[route two]\ntopic = a/#\nbackend = one\norder = route\n");

    assert_int_equal(config->backend_count, 2);
    assert_int_equal(config->route_count, 2);
    assert_int_equal(config->routes[0].backend, 1);
    assert_int_equal(config->routes[1].backend, 0);
    assert_int_equal(config->routes[0].topics.count, 2);
    assert_string_equal(config->routes[0].topics.items[1], "b");
    assert_string_equal(config->routes[0].content_type, "text/plain;charset=utf-8");
    assert_int_equal(config->routes[0].retained, CONFIG_RETAINED_YES);
    assert_int_equal(config->routes[0].order, CONFIG_ORDER_NONE);
    assert_int_equal(config->routes[1].order, CONFIG_ORDER_ROUTE);
    assert_int_equal(config_find_route(config, "two"), 1);
    assert_true(config_find_route(config, "three") == SIZE_MAX);

    struct buf out;
    char *why = NULL;
    buf_init(&out, 100);
    assert_int_equal(path_template_expand(config->routes[0].path, "a/x", &out, &why), 0);
    assert_string_equal(buf_text(&out), "/c/a");
    buf_reset(&out);
    assert_int_equal(path_template_expand(config->routes[1].path, "a/x", &out, &why), 0);
    assert_string_equal(buf_text(&out), "");
    buf_done(&out);
    config_free(config);
}

/* One line too much or too little in a good configuration; the error is the only
 * one, so that nobody hunts what only follows from it. */
static void errors_stand_alone(void **state)
{
    static const struct {
        const char *text, *start;
    } cases[] = {
        {"[broker]\nport = 0\n" BACKEND ROUTE, "2: port = 0: must be a number from 1 to 65535"},
        {"[broker]\nport = 18446744073709551617\n" BACKEND ROUTE, "2: port = 18446744073709551617: must be"},
        {"[broker]\ntls = on\nca_file = /ca\n" BACKEND ROUTE, "2: tls = on: must be yes or no"},
        {"[broker]\nusername = joe\npassword = s3cret\n" BACKEND ROUTE,
         "3: password must not be written into"},
        {"[broker]\nusername = joe\npassword = @lines\n" BACKEND ROUTE,
         "3: password = @lines: the file has more"},
        {"[broker]\nusername = joe\npassword = @none\n" BACKEND ROUTE, "3: password = @none: no such secret"},
        {"[broker]\npassword s3cret\n" BACKEND ROUTE, "2: '=' is missing after 'password'"},
        {"[broker]\ns3cret\n" BACKEND ROUTE, "2: this line is not a comment"},
        {"[broker]\nhost =\n" BACKEND ROUTE, "2: host has no value"},
        {"[broker]\nclient_id = a\tb\x7f\n" BACKEND ROUTE, "2: the line contains the control character 0x7F"},
        {"[broker]\n[broker]\n" BACKEND ROUTE, "2: line 1 has [broker] already"},
        {"[borker]\nhost = h\ngarbage\n" BACKEND ROUTE,
         "1: unknown section [borker]; did you mean [broker]?"},
        {"garbage\n" BACKEND ROUTE, "1: this line is not a comment"},
        {"[backend a b]\nurl = http://h\n" ROUTE, "1: [backend a b]: a name consists of"},
        {BACKEND "[route one]\ntopic = a\n[route two]\ntopic = b\nformerly = one\n",
         "7: formerly = one: there is a route 'one' still; delete one of the two"},
        {BACKEND "[route one]\ntopic = a\nformerly = old\n[route two]\ntopic = b\nformerly = old\n",
         "8: formerly = old: route 'one' has that former name already"},
        {"[backend b]\n" ROUTE, "1: [backend b] has no url"},
        {"[backend b]\nurl = http://h\n" ROUTE, "2: url = http://h: only https:// is allowed"},
        {BACKEND "query = s3cret\n" ROUTE, "3: query must be NAME=VALUE"},
        {BACKEND "query = k=@lines\n" ROUTE, "3: query = k=@lines: the file has more than one line"},
        {BACKEND "query = k=@text:\n" ROUTE, "3: query = k=@text:: the file is empty"},
        {BACKEND "header = X: @lines\n" ROUTE, "3: header = X: @lines: the file has more than one line"},
        {BACKEND "header = X Y: s3cret\n" ROUTE, "3: header = X Y: the name of a header"},
        {BACKEND "header = SLUICE-AGE: 1\n" ROUTE,
         "3: header = SLUICE-AGE: sluice itself sets the headers that start with Sluice-"},
        {BACKEND "bearer = @key\nheader = Authorization: s3cret\n" ROUTE,
         "4: header = Authorization: bearer sets"},
        {BACKEND "bearer = @key\nusername = a\npassword = @key\n" ROUTE, "3: bearer and username exclude"},
        {BACKEND "retry_min = 6m\n" ROUTE, "3: retry_max (5m) must not be shorter than retry_min (6m)"},
        {BACKEND "url = https://other\n" ROUTE, "3: url is already set in a.conf:2"},
        {BACKEND "[route r]\n", "3: [route r] has no topic"},
        {BACKEND "[route r]\ntopic = a#\n", "4: topic = a#: "},
        {BACKEND ROUTE "path = /a/../b\n", "5: path = /a/../b: "},
        {BACKEND ROUTE "backend = gardan\n",
         "5: backend = gardan: there is no [backend gardan]; did you mean 'garden'?"},
        {BACKEND "[backend b]\nurl = https://h\n" ROUTE,
         "5: [route sensor] does not say which of the 2 backends"},
        {BACKEND ROUTE "content_type = a/b\xff\n", "5: the line is not UTF-8"},
        {BACKEND ROUTE "content_type = a/b c/d\n", "5: content_type = a/b c/d: must be like"},
        {BACKEND, " there is no [route NAME]"},
        {ROUTE, " there is no [backend NAME]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_error(cases[i].text, cases[i].start);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_and_its_port),
        cmocka_unit_test(a_route_is_found_by_its_former_name),
        cmocka_unit_test(routes_find_backends),
        cmocka_unit_test(errors_stand_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
