/* The parser without a file system: texts in, a struct config or errors out.
 * tests/system/config_errors has the exact words of every error. */
#include "config/config_text.h"

#include <stdio.h>
#include <string.h>

static void defaults(void **state)
{
    struct config *config = parsed(BACKEND ROUTE);

    assert_string_equal(config->broker.host, "localhost");
    assert_int_equal(config->broker.port, 1883);
    assert_string_equal(config->broker.client_id, "sluice");
    assert_null(config->broker.username);
    assert_null(config->broker.password);
    assert_false(config->broker.tls);
    assert_null(config->broker.ca_file);
    assert_int_equal(config->broker.keepalive_s, 60);
    assert_int_equal(config->broker.session_expiry_s, 30 * 24 * 3600);
    assert_int_equal(config->broker.protocol, CONFIG_PROTOCOL_AUTO);
    assert_string_equal(config->queue.path, "/var/lib/sluice/queue.db");
    assert_int_equal(config->queue.commit_batch, 1000);

    assert_int_equal(config->backend_count, 1);
    const struct config_backend *backend = &config->backends[0];
    assert_string_equal(backend->name, "garden");
    assert_string_equal(backend->url, "https://h/api");
    assert_int_equal(backend->query_count, 0);
    assert_int_equal(backend->header_count, 0);
    assert_null(backend->bearer);
    assert_null(backend->username);
    assert_null(backend->ca_file);
    assert_false(backend->http1_only);
    assert_int_equal(backend->max_in_flight, 32);
    assert_int_equal(backend->max_connections, 4);
    assert_int_equal(backend->timeout_ms, 30000);
    assert_int_equal(backend->connect_timeout_ms, 10000);
    assert_int_equal(backend->retry_min_ms, 1000);
    assert_int_equal(backend->retry_max_ms, 300000);
    assert_int_equal(backend->max_attempts, 10);

    assert_int_equal(config->route_count, 1);
    const struct config_route *route = &config->routes[0];
    assert_string_equal(route->name, "sensor");
    assert_int_equal(route->topic_count, 1);
    assert_string_equal(route->topics[0], "garden/+/sensor");
    assert_int_equal(route->backend, 0);
    assert_non_null(route->path);
    assert_null(route->content_type);
    assert_false(route->retained);
    assert_int_equal(route->order, CONFIG_ORDER_TOPIC);
    config_free(config);
}

static void broker_and_queue(void **state)
{
    struct config *config =
        parsed("[broker]\nhost = fd00::1\nport=8884\nclient_id : the sluice\nusername = joe\n"
               "password = @key\ntls = yes\nca_file = /ca\ncert_file = /c\nkey_file = /k\n"
               "keepalive = 2m\nsession_expiry = never\nprotocol = 3.1.1\n"
               "[queue]\npath = /q.db\ncommit_batch = 65535\n" BACKEND ROUTE);

    assert_string_equal(config->broker.host, "fd00::1");
    assert_int_equal(config->broker.port, 8884);
    assert_string_equal(config->broker.client_id, "the sluice");
    assert_string_equal(config->broker.username, "joe");
    assert_string_equal(config->broker.password, "s3cret");
    assert_true(config->broker.tls);
    assert_string_equal(config->broker.ca_file, "/ca");
    assert_string_equal(config->broker.cert_file, "/c");
    assert_string_equal(config->broker.key_file, "/k");
    assert_int_equal(config->broker.keepalive_s, 120);
    assert_int_equal(config->broker.session_expiry_s, UINT32_MAX);
    assert_int_equal(config->broker.protocol, CONFIG_PROTOCOL_V311);
    assert_string_equal(config->queue.path, "/q.db");
    assert_int_equal(config->queue.commit_batch, 65535);
    config_free(config);
}

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

static void backend_keys(void **state)
{
    struct config *config = parsed(
        "[backend b]\nurl = HTTPS://[fd00::1]:8443/a/b/\nquery = user_key = @key\nquery = a=b=c\nquery = "
        "empty=\n"
        "header = X-Key: @key\nheader = X-Site:a: b\nheader = authorization: Basic x\nca_file = /ca\n"
        "protocol = http1.1\nmax_in_flight = 1\nmax_connections = 64\ntimeout = 250ms\nconnect_timeout = 5m\n"
        "retry_min = 10ms\nretry_max = 24h\nmax_attempts = 1000\n" ROUTE);
    const struct config_backend *b = &config->backends[0];

    assert_string_equal(b->url, "HTTPS://[fd00::1]:8443/a/b");
    assert_int_equal(b->query_count, 3);
    assert_string_equal(b->query[0].name, "user_key");
    assert_string_equal(b->query[0].value, "s3cret");
    assert_true(b->query[0].secret);
    assert_string_equal(b->query[1].name, "a");
    assert_string_equal(b->query[1].value, "b=c");
    assert_false(b->query[1].secret);
    assert_string_equal(b->query[2].value, "");
    assert_int_equal(b->header_count, 3);
    assert_string_equal(b->headers[0].value, "s3cret");
    assert_true(b->headers[0].secret);
    assert_string_equal(b->headers[1].name, "X-Site");
    assert_string_equal(b->headers[1].value, "a: b");
    assert_false(b->headers[1].secret);
    assert_true(b->headers[2].secret); /* wherever it came from */
    assert_string_equal(b->ca_file, "/ca");
    assert_true(b->http1_only);
    assert_int_equal(b->max_in_flight, 1);
    assert_int_equal(b->max_connections, 64);
    assert_int_equal(b->timeout_ms, 250);
    assert_int_equal(b->connect_timeout_ms, 300000);
    assert_int_equal(b->retry_min_ms, 10);
    assert_int_equal(b->retry_max_ms, 86400000);
    assert_int_equal(b->max_attempts, 1000);
    config_free(config);
}

static void authorization(void **state)
{
    struct config *config = parsed("[backend a]\nurl = https://h\nbearer = @key\n"
                                   "[backend b]\nurl = https://h\nusername = joe\npassword = @key\n"
                                   "[route r]\ntopic = t\nbackend = b\n");

    assert_string_equal(config->backends[0].bearer, "s3cret");
    assert_null(config->backends[0].password);
    assert_null(config->backends[1].bearer);
    assert_string_equal(config->backends[1].username, "joe");
    assert_string_equal(config->backends[1].password, "s3cret");
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
    assert_int_equal(config->routes[0].topic_count, 2);
    assert_string_equal(config->routes[0].topics[1], "b");
    assert_string_equal(config->routes[0].content_type, "text/plain;charset=utf-8");
    assert_true(config->routes[0].retained);
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

static void http_sections(void **state)
{
    struct config *config = parsed(BACKEND ROUTE "[http]\n");
    assert_int_equal(config->http_count, 1);
    assert_int_equal(config->https[0].listen_count, 0); /* off */
    assert_int_equal(config->route_count, 1);
    config_free(config);

    config = parsed(
        BACKEND
        "[http]\nbackend = garden\nlisten = 0.0.0.0:8118\nlisten = [::1]:8118\nallow = 10.0.0.0/8, ::1\n"
        "allow = 192.168.1.1\nquery = user_key=@key\nbody = json\nadd = a={1}\n"
        "not_object = raw\naccepted_status = 200\npassthrough = no\nmax_body = 2K\n"
        "[backend other]\nurl = https://o\n[http two]\nlisten = 127.0.0.1:8119\n"
        "backend = other\n[http three]\n[http four]\nlisten = 127.0.0.1:1\nbackend = garden\n");
    assert_int_equal(config->http_count, 4);
    const struct config_http *http = &config->https[0];
    assert_int_equal(http->listen_count, 2);
    assert_string_equal(http->listens[1].text, "[::1]:8118");
    assert_int_equal(http->listens[1].port, 8118);
    assert_int_equal(http->allow_count, 3);
    assert_int_equal(http->accepted_status, 200);
    assert_false(http->passthrough);
    assert_int_equal(http->max_body, 2048);
    assert_int_equal(http->max_connections, 256);
    assert_int_equal(http->max_connections_per_client, 64);
    assert_int_equal(http->timeout_ms, 30000);
    const struct config_route *route = &config->routes[http->route];
    assert_string_equal(route->name, "http");
    assert_true(route->http);
    assert_int_equal(route->topic_count, 0);
    assert_int_equal(route->body, CONFIG_BODY_JSON);
    assert_int_equal(route->not_object, CONFIG_NOT_OBJECT_RAW);
    assert_int_equal(fields_count(route->add), 1);
    assert_int_equal(route->query_count, 1);
    assert_string_equal(route->query[0].value, "s3cret");
    assert_true(route->query[0].secret);
    http = &config->https[1];
    assert_string_equal(http->name, "two");
    assert_int_equal(http->accepted_status, 202);
    assert_true(http->passthrough);
    route = &config->routes[http->route];
    assert_string_equal(route->name, "two");
    assert_int_equal(route->backend, 1);
    assert_int_equal(config->routes[config->https[3].route].backend, 0);
    assert_int_equal(config->route_count, 3);
    config_free(config);
}

static void good_urls(void **state)
{
    static const struct {
        const char *url, *kept;
    } cases[] = {
        {"https://h", "https://h"},
        {"https://h/", "https://h"},
        {"https://h:1/", "https://h:1"},
        {"https://h:65535/api", "https://h:65535/api"},
        {"https://h/api/v1/", "https://h/api/v1"},
        {"https://127.0.0.1/a@b:c", "https://127.0.0.1/a@b:c"},
        {"https://[::1]", "https://[::1]"},
        {"https://a_b-c.d/~x/%20y", "https://a_b-c.d/~x/%20y"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *text = xasprintf("[backend b]\nurl = %s\n%s", cases[i].url, ROUTE);
        struct config *config = parsed(text);

        assert_string_equal(config->backends[0].url, cases[i].kept);
        config_free(config);
    }
}

static void bad_urls_never_show_what_may_be_secret(void **state)
{
    static const struct {
        const char *url, *start;
    } cases[] = {
        {"http://u:s3cret@h/?k=s3cret", "2: url = http://...@h/?...: only https:// is allowed"},
        {"https://u:s3cret@h", "2: url = https://...@h: no user name"},
        {"https://u:s3/cret@h", "2: url = https://...@h: the port"},
        {"https://h?s3cret", "2: url = https://h?...: no query"},
        {"https://h/#s3cret", "2: url = https://h/#...: a URL for requests has no '#'"},
        {"u:s3cret@h", "2: url = ...@h: it must start with https://"},
        {"https:/u:s3cret@h", "2: url = ...@h: it must start with https://"},
        {"https://h//", "2: url = https://h//: it contains '//'"},
        {"https://h/..", "2: url = https://h/..: it contains a segment"},
        {"https://h/../", "2: url = https://h/../: it contains a segment"},
        {"https://h\\x/", "2: url = https://h\\x/: the host name contains"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *text = xasprintf("[backend b]\nurl = %s\n%s", cases[i].url, ROUTE);

        expect_error(text, cases[i].start);
    }
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* 0: refused */
    } cases[] = {
        {"10ms", 10},
        {"1s", 1000},
        {"90s", 90000},
        {"2m", 120000},
        {"1h", 3600000},
        {"060s", 60000},
        {"9ms", 0},
        {"61m", 0},
        {"1d", 0},
        {"1w", 0},
        {"0s", 0},
        {"", 0},
        {"30", 0},
        {"s", 0},
        {"1.5s", 0},
        {"1 s", 0},
        {"-1s", 0},
        {"+1s", 0},
        {"1S", 0},
        {"1sec", 0},
        {"1h30m", 0},
        {"0x10s", 0},
        {"1e3ms", 0},
        {"9223372036854775808ms", 0},
        {"99999999999999999999999999w", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *text =
            xasprintf("%sretry_max = 1d\nretry_min = %s\n%s", BACKEND, cases[i].text, ROUTE);

        if (cases[i].ms == 0) {
            expect_error(text, "4: retry_min ");
            continue;
        }
        struct config *config = parsed(text);
        assert_int_equal(config->backends[0].retry_min_ms, cases[i].ms);
        config_free(config);
    }
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
         "3: password = @lines: the file holds more"},
        {"[broker]\nusername = joe\npassword = @none\n" BACKEND ROUTE, "3: password = @none: no such secret"},
        {"[broker]\npassword s3cret\n" BACKEND ROUTE, "2: '=' is missing behind 'password'"},
        {"[broker]\ns3cret\n" BACKEND ROUTE, "2: this line is no comment"},
        {"[broker]\nhost =\n" BACKEND ROUTE, "2: host has no value"},
        {"[broker]\nclient_id = a\tb\x7f\n" BACKEND ROUTE, "2: the line contains the control character 0x7F"},
        {"[broker]\n[broker]\n" BACKEND ROUTE, "2: [broker] was already opened in line 1"},
        {"[borker]\nhost = h\ngarbage\n" BACKEND ROUTE,
         "1: unknown section [borker]; did you mean [broker]?"},
        {"garbage\n" BACKEND ROUTE, "1: this line is no comment"},
        {"[backend a b]\nurl = http://h\n" ROUTE, "1: [backend a b]: a name consists of"},
        {"[backend b]\n" ROUTE, "1: [backend b] has no url"},
        {"[backend b]\nurl = http://h\n" ROUTE, "2: url = http://h: only https:// is allowed"},
        {BACKEND "query = s3cret\n" ROUTE, "3: query must be NAME=VALUE"},
        {BACKEND "query = k=@lines\n" ROUTE, "3: query = k=@lines: the file holds more than one line"},
        {BACKEND "query = k=@text:\n" ROUTE, "3: query = k=@text:: the file is empty"},
        {BACKEND "header = X: @lines\n" ROUTE, "3: header = X: @lines: the file holds more than one line"},
        {BACKEND "header = X Y: s3cret\n" ROUTE, "3: header = X Y: a header's name"},
        {BACKEND "header = SLUICE-AGE: 1\n" ROUTE, "3: header = SLUICE-AGE: headers that start with Sluice-"},
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

static void all_errors_in_the_order_of_lines(void **state)
{
    struct config_errors errors = {0};

    assert_null(parse("[route r]\nordr = topic\n[backend b]\nbearer = @none\n[broker]\nport = x\n", &errors));
    static const char *const starts[] = {
        "a.conf:1: ", "a.conf:2: ", "a.conf:3: ", "a.conf:4: ", "a.conf:6: "};
    assert_int_equal(errors.count, ARRAY_LEN(starts));
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        assert_memory_equal(errors.lines[i], starts[i], strlen(starts[i]));
    config_errors_done(&errors);
}

static void several_files(void **state)
{
    static const char first[] = "[broker]\nhost = h\n[backend b]\n",
                      second[] = "[backend b]\nurl = https://h\n" ROUTE,
                      third[] = "host = x\n[broker]\nhost = other\n";
    struct config_errors errors = {0};
    struct config_parser *parser = config_parser_new(&errors, fake_secret, NULL);

    config_parser_text(parser, "1.conf", first, strlen(first));
    config_parser_text(parser, "2.conf", second, strlen(second));
    struct config *config = config_parser_finish(parser);
    assert_non_null(config);
    assert_string_equal(config->backends[0].url, "https://h");
    config_free(config);

    parser = config_parser_new(&errors, fake_secret, NULL);
    config_parser_text(parser, "1.conf", first, strlen(first));
    config_parser_text(parser, "2.conf", second, strlen(second));
    config_parser_text(parser, "3.conf", third, strlen(third));
    assert_null(config_parser_finish(parser));
    assert_int_equal(errors.count, 2);
    assert_string_equal(
        errors.lines[0],
        "3.conf:1: key 'host' stands before the first section; put it below a line such as [broker]");
    assert_string_equal(errors.lines[1], "3.conf:3: host is already set in 1.conf:2; keep one of the two");
    config_errors_done(&errors);
}

static void layout(void **state)
{
    struct config *config = parsed("\xef\xbb\xbf; a comment\r\n# another\r\n\r\n"
                                   "  [ backend   garden ] ; comment\r\n"
                                   "\turl=https://h/a ; comment\r\n"
                                   "    query = k = v;w\r\n" /* indented, and yet a line of its own */
                                   "[route a-b_C9] # comment\ntopic = a/#");

    assert_string_equal(config->backends[0].name, "garden");
    assert_string_equal(config->backends[0].url, "https://h/a");
    assert_string_equal(config->backends[0].query[0].name, "k");
    assert_string_equal(config->backends[0].query[0].value, "v;w");
    assert_string_equal(config->routes[0].name, "a-b_C9");
    assert_string_equal(config->routes[0].topics[0], "a/#");
    config_free(config);
}

/* Names longer than inih's own section buffer stay whole and apart. */
static void long_names(void **state)
{
    char name[66] = {0};
    memset(name, 'x', 63);
    cleanup_free char *text = xasprintf("[backend %sa]\nurl = https://a\n[backend %sb]\nurl = https://b\n"
                                        "[route %sr]\ntopic = t\nbackend = %sb\n",
                                        name, name, name, name);
    struct config *config = parsed(text);

    assert_int_equal(config->backend_count, 2);
    assert_int_equal(strlen(config->backends[1].name), 64);
    assert_int_equal(config->routes[0].backend, 1);
    config_free(config);

    memset(name, 'x', 65);
    cleanup_free char *longer = xasprintf("%s%s[route %s]\ntopic = t\n", BACKEND, ROUTE, name);
    expect_error(longer, "5: [route x");
}

static void long_lines(void **state)
{
    char filler[400] = {0};
    memset(filler, 'x', sizeof(filler) - 1);
    cleanup_free char *fits = xasprintf("%squery = k=%.*s\n%s", BACKEND, 199 - 10, filler, ROUTE);
    struct config *config = parsed(fits);
    assert_int_equal(strlen(config->backends[0].query[0].value), 189);
    config_free(config);

    cleanup_free char *long_line = xasprintf("%squery = k=%.*s\n%s", BACKEND, 200 - 10, filler, ROUTE);
    expect_error(long_line, "3: the line has 200 bytes; at most 199 are possible");

    cleanup_free char *comment = xasprintf("; %s\n%s%s", filler, BACKEND, ROUTE);
    config_free(parsed(comment));
}

static uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * UINT32_C(1664525) + UINT32_C(1013904223);
    return *seed >> 8;
}

/* Whatever comes, it is a configuration or at least one error, and nothing
 * crashes (this runs under the sanitisers as well). */
static void take_anything(const char *text, size_t bytes)
{
    struct config_errors errors = {0};
    struct config_parser *parser = config_parser_new(&errors, fake_secret, NULL);
    /* On the heap and without a NUL behind it: reading too far is found. */
    char *copy = xcalloc(bytes > 0 ? bytes : 1, 1);

    memcpy(copy, text, bytes);
    config_parser_text(parser, "a.conf", copy, bytes);
    free(copy);
    struct config *config = config_parser_finish(parser);
    assert_true((config != NULL) == (errors.count == 0));
    for (size_t i = 0; i < errors.count; i++)
        assert_null(strpbrk(errors.lines[i], "\n\r\x1b"));
    config_free(config);
    config_errors_done(&errors);
}

static void random_bytes(void **state)
{
    char text[600];
    uint32_t seed = 1;

    for (int round = 0; round < 3000; round++) {
        size_t bytes = random_next(&seed) % sizeof(text);
        for (size_t i = 0; i < bytes; i++)
            text[i] = (char)random_next(&seed);
        take_anything(text, bytes);
    }
}

/* A good configuration with a few bytes changed, and cut anywhere: gets further
 * into the parser than noise does. */
static void mutilated_configurations(void **state)
{
    static const char good[] =
        "[broker]\nhost = localhost\nport = 1883\nusername = a\npassword = @key\n"
        "keepalive = 30s\nsession_expiry = 30d\n[queue]\npath = /q\ncommit_batch = 10\n"
        "[backend garden]\nurl = https://u@[fd00::1]:8443/api?x#y\nquery = user_key=@key\n"
        "header = X-Key: @lines\nbearer = @key\ntimeout = 30s\n"
        "on_status = 404:dead, 409 : delivered\nrate = 100\n[route sensor]\n"
        "topic = garden/+/sensor\nbackend = garden\npath = /collections/{2}\n"
        "content_type = application/json ; comment\norder = topic\n"
        "body = json\nadd = host={2}, timestamp={received_s}\nadd = site=\"a, b\"\n"
        "batch = 10\nbatch_size = 64K\nlinger = 1s\n";
    static const char spice[] = "[]=:;#@{}/%?\n\r\t \0\xff+.-\"9";
    char text[sizeof(good)];
    uint32_t seed = 2;

    for (int round = 0; round < 5000; round++) {
        memcpy(text, good, sizeof(good));
        for (uint32_t changes = random_next(&seed) % 6; changes > 0; changes--)
            text[random_next(&seed) % (sizeof(good) - 1)] = spice[random_next(&seed) % (sizeof(spice) - 1)];
        take_anything(text,
                      random_next(&seed) % 3 == 0 ? random_next(&seed) % sizeof(good) : sizeof(good) - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(broker_and_queue),
        cmocka_unit_test(tls_and_its_port),
        cmocka_unit_test(backend_keys),
        cmocka_unit_test(authorization),
        cmocka_unit_test(routes_find_backends),
        cmocka_unit_test(http_sections),
        cmocka_unit_test(good_urls),
        cmocka_unit_test(bad_urls_never_show_what_may_be_secret),
        cmocka_unit_test(durations),
        cmocka_unit_test(errors_stand_alone),
        cmocka_unit_test(all_errors_in_the_order_of_lines),
        cmocka_unit_test(several_files),
        cmocka_unit_test(layout),
        cmocka_unit_test(long_names),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(random_bytes),
        cmocka_unit_test(mutilated_configurations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
