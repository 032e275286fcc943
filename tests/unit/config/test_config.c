#include "config/config_text.h"

#include "config/keys.h"

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
    assert_int_equal(backend->query.count, 0);
    assert_int_equal(backend->headers.count, 0);
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
    assert_int_equal(route->topics.count, 1);
    assert_string_equal(route->topics.items[0], "garden/+/sensor");
    assert_int_equal(route->backend, 0);
    assert_non_null(route->path);
    assert_null(route->content_type);
    assert_int_equal(route->retained, CONFIG_RETAINED_REPORT);
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
    assert_int_equal(b->query.count, 3);
    assert_string_equal(b->query.items[0].name, "user_key");
    assert_string_equal(b->query.items[0].value, "s3cret");
    assert_true(b->query.items[0].secret);
    assert_string_equal(b->query.items[1].name, "a");
    assert_string_equal(b->query.items[1].value, "b=c");
    assert_false(b->query.items[1].secret);
    assert_string_equal(b->query.items[2].value, "");
    assert_int_equal(b->headers.count, 3);
    assert_string_equal(b->headers.items[0].value, "s3cret");
    assert_true(b->headers.items[0].secret);
    assert_string_equal(b->headers.items[1].name, "X-Site");
    assert_string_equal(b->headers.items[1].value, "a: b");
    assert_false(b->headers.items[1].secret);
    assert_true(b->headers.items[2].secret); /* wherever it came from */
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

static void http_sections(void **state)
{
    struct config *config = parsed(BACKEND ROUTE "[http]\n");
    assert_int_equal(config->http_count, 1);
    assert_int_equal(config->https[0].listens.count, 0); /* off */
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
    assert_int_equal(http->listens.count, 2);
    assert_string_equal(http->listens.items[1].text, "[::1]:8118");
    assert_int_equal(http->listens.items[1].port, 8118);
    assert_int_equal(http->allow.count, 3);
    assert_int_equal(http->accepted_status, 200);
    assert_false(http->passthrough);
    assert_int_equal(http->max_body, 2048);
    assert_int_equal(http->max_connections, 256);
    assert_int_equal(http->max_connections_per_client, 64);
    assert_int_equal(http->timeout_ms, 30000);
    const struct config_route *route = &config->routes[http->route];
    assert_string_equal(route->name, "http");
    assert_true(route->http);
    assert_int_equal(route->topics.count, 0);
    assert_int_equal(route->body, CONFIG_BODY_JSON);
    assert_int_equal(route->not_object, CONFIG_NOT_OBJECT_RAW);
    assert_int_equal(fields_count(route->add), 1);
    assert_int_equal(route->query.count, 1);
    assert_string_equal(route->query.items[0].value, "s3cret");
    assert_true(route->query.items[0].secret);
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

/* A change of any key that only a restart puts in force is found, and of no other key. */
static void restart_keys_are_named(void **state)
{
    static const enum config_kind kinds[] = {CONFIG_DAEMON, CONFIG_BROKER, CONFIG_QUEUE};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct config_keys *table = &config_keys[kinds[i]];
        for (size_t k = 0; k < table->count; k++) {
            struct config *running = parsed(BACKEND ROUTE), *next = parsed(BACKEND ROUTE);
            const struct config_key *key = &table->keys[k];
            char *fields[] = {(char *)&next->daemon, (char *)&next->broker, (char *)&next->queue};
            assert_null(config_restart_keys(running, next));
            if (key->type->equal) {
                char **text = (char **)(fields[i] + key->offset);
                free(*text);
                *text = xstrdup("changed");
            } else {
                fields[i][key->offset] ^= 1;
            }
            cleanup_free char *expected = xasprintf("[%s] %s", table->word, key->name);
            cleanup_free char *keys = config_restart_keys(running, next);
            if (key->restart || (table->restart && !key->live))
                assert_string_equal(keys, expected);
            else
                assert_null(keys);
            config_free(running);
            config_free(next);
        }
    }
}

static void several_restart_keys(void **state)
{
    struct config *running = parsed(BACKEND ROUTE);
    struct config *next = parsed("[queue]\npath = /q.db\nmax_size = 2G\n[broker]\nport = 1\nhost = h\n"
                                 "[backend other]\nurl = https://h\n" ROUTE);

    cleanup_free char *keys = config_restart_keys(running, next);
    assert_string_equal(keys, "[daemon] socket, [broker] host, [broker] port, [queue] path");
    config_free(running);
    config_free(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(broker_and_queue),
        cmocka_unit_test(backend_keys),
        cmocka_unit_test(authorization),
        cmocka_unit_test(http_sections),
        cmocka_unit_test(restart_keys_are_named),
        cmocka_unit_test(several_restart_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
