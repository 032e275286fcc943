/* config/keys.c - every key that there is. config/sluice.conf documents them for
 * people; a test holds the two against each other. */
#include "config/keys.h"
#include "config/values.h"
#include <assert.h>
#include <string.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

#define KIBIBYTE  INT64_C(1024)
#define MEBIBYTE  INT64_C(1048576)
#define SIZE_MOST (1048576 * MEBIBYTE)

#define DAEMON(field)  offsetof(struct config_daemon, field)
#define BROKER(field)  offsetof(struct config_broker, field)
#define QUEUE(field)   offsetof(struct config_queue, field)
#define BACKEND(field) offsetof(struct config_backend, field)
#define ROUTE(field)   offsetof(struct config_route, field)
#define HTTP(field)    offsetof(struct config_http, field)

static const struct config_key daemon_keys[] = {
    {.name = "socket", .set = config_set_path, .offset = DAEMON(socket)},
    {.name = "log_level", .set = config_set_log_level, .offset = DAEMON(log_level)},
};

static const struct config_key broker_keys[] = {
    {.name = "host", .set = config_set_host, .offset = BROKER(host)},
    {.name = "port", .set = config_set_number, .offset = BROKER(port), .min = 1, .max = 65535},
    {.name = "client_id", .set = config_set_text, .offset = BROKER(client_id)},
    {.name = "username", .set = config_set_text, .offset = BROKER(username)},
    {.name = "password", .set = config_set_secret, .offset = BROKER(password)},
    {.name = "tls", .set = config_set_yes_no, .offset = BROKER(tls)},
    {.name = "ca_file", .set = config_set_file, .offset = BROKER(ca_file)},
    {.name = "cert_file", .set = config_set_file, .offset = BROKER(cert_file)},
    {.name = "key_file", .set = config_set_file, .offset = BROKER(key_file)},
    {.name = "keepalive",
     .set = config_set_seconds,
     .offset = BROKER(keepalive_s),
     .min = 5 * SECOND,
     .max = 65535 * SECOND},
    {.name = "session_expiry",
     .set = config_set_expiry,
     .offset = BROKER(session_expiry_s),
     .min = SECOND,
     .max = 36500 * DAY},
    {.name = "protocol", .set = config_set_mqtt, .offset = BROKER(protocol)},
};

static const struct config_key queue_keys[] = {
    {.name = "path", .set = config_set_path, .offset = QUEUE(path)},
    {.name = "commit_batch", .set = config_set_number, .offset = QUEUE(commit_batch), .min = 1, .max = 65535},
    {.name = "commit_delay",
     .set = config_set_duration,
     .offset = QUEUE(commit_delay_ms),
     .min = 0,
     .max = 10 * SECOND},
    {.name = "max_size",
     .set = config_set_size,
     .offset = QUEUE(max_size),
     .min = 16 * MEBIBYTE,
     .max = SIZE_MOST},
    {.name = "max_messages",
     .set = config_set_number,
     .offset = QUEUE(max_messages),
     .min = 1,
     .max = 1000 * 1000 * 1000},
    {.name = "max_age",
     .set = config_set_duration,
     .offset = QUEUE(max_age_ms),
     .min = MINUTE,
     .max = 36500 * DAY},
    {.name = "min_free", .set = config_set_size, .offset = QUEUE(min_free), .min = 0, .max = SIZE_MOST},
    {.name = "when_full", .set = config_set_when_full, .offset = QUEUE(when_full)},
    {.name = "clock", .set = config_set_clock, .offset = QUEUE(trust_clock)},
};

static const struct config_key backend_keys[] = {
    {.name = "url",
     .set = config_set_url,
     .offset = BACKEND(url),
     .example = "url = https://garden.example.org/api"},
    {.name = "query", .set = config_set_query, .repeatable = true},
    {.name = "header", .set = config_set_header, .repeatable = true},
    {.name = "bearer", .set = config_set_secret, .offset = BACKEND(bearer)},
    {.name = "username", .set = config_set_user, .offset = BACKEND(username)},
    {.name = "password", .set = config_set_secret, .offset = BACKEND(password)},
    {.name = "ca_file", .set = config_set_file, .offset = BACKEND(ca_file)},
    {.name = "cert_file", .set = config_set_file, .offset = BACKEND(cert_file)},
    {.name = "key_file", .set = config_set_file, .offset = BACKEND(key_file)},
    {.name = "protocol", .set = config_set_http, .offset = BACKEND(http1_only)},
    {.name = "max_in_flight",
     .set = config_set_number,
     .offset = BACKEND(max_in_flight),
     .min = 1,
     .max = 1000},
    {.name = "max_connections",
     .set = config_set_number,
     .offset = BACKEND(max_connections),
     .min = 1,
     .max = 64},
    {.name = "rate", .set = config_set_number, .offset = BACKEND(rate_per_s), .min = 1, .max = 1000 * 1000},
    {.name = "gzip", .set = config_set_yes_no, .offset = BACKEND(gzip)},
    {.name = "timeout",
     .set = config_set_duration,
     .offset = BACKEND(timeout_ms),
     .min = 100,
     .max = 60 * MINUTE},
    {.name = "connect_timeout",
     .set = config_set_duration,
     .offset = BACKEND(connect_timeout_ms),
     .min = 100,
     .max = 5 * MINUTE},
    {.name = "retry_min",
     .set = config_set_duration,
     .offset = BACKEND(retry_min_ms),
     .min = 10,
     .max = 60 * MINUTE},
    {.name = "retry_max", .set = config_set_duration, .offset = BACKEND(retry_max_ms), .min = 10, .max = DAY},
    {.name = "max_attempts",
     .set = config_set_number,
     .offset = BACKEND(max_attempts),
     .min = 1,
     .max = 1000},
    {.name = "on_status", .set = config_set_on_status, .offset = BACKEND(answers), .repeatable = true},
    {.name = "expect_body", .set = config_set_text, .offset = BACKEND(answers.expect_body)},
};

static const struct config_key route_keys[] = {
    {.name = "topic", .set = config_set_topic, .repeatable = true, .example = "topic = garden/+/sensor"},
    {.name = "backend", .set = config_set_backend},
    {.name = "path", .set = config_set_template, .offset = ROUTE(path)},
    {.name = "ack_topic", .set = config_set_ack_topic, .offset = ROUTE(ack_topic)},
    {.name = "content_type", .set = config_set_content_type, .offset = ROUTE(content_type)},
    {.name = "retained", .set = config_set_yes_no, .offset = ROUTE(retained)},
    {.name = "order", .set = config_set_order, .offset = ROUTE(order)},
    {.name = "body", .set = config_set_body, .offset = ROUTE(body)},
    {.name = "add", .set = config_set_add, .offset = ROUTE(add), .repeatable = true},
    {.name = "not_object", .set = config_set_not_object, .offset = ROUTE(not_object)},
    {.name = "batch", .set = config_set_number, .offset = ROUTE(batch), .min = 1, .max = 1000},
    {.name = "batch_size",
     .set = config_set_size,
     .offset = ROUTE(batch_size),
     .min = KIBIBYTE,
     .max = MEBIBYTE},
    {.name = "batch_format", .set = config_set_batch_format, .offset = ROUTE(format)},
    {.name = "linger", .set = config_set_duration, .offset = ROUTE(linger_ms), .min = 0, .max = HOUR},
    {.name = "on_status", .set = config_set_on_status, .offset = ROUTE(answers), .repeatable = true},
    {.name = "expect_body", .set = config_set_text, .offset = ROUTE(answers.expect_body)},
};

static const struct config_key http_keys[] = {
    {.name = "listen", .set = config_set_listen, .repeatable = true, .example = "listen = 0.0.0.0:8118"},
    {.name = "backend", .set = config_set_backend},
    {.name = "allow", .set = config_set_allow, .repeatable = true},
    {.name = "query", .set = config_set_query, .repeatable = true},
    {.name = "content_type", .set = config_set_content_type, .offset = ROUTE(content_type), .of_route = true},
    {.name = "body", .set = config_set_body, .offset = ROUTE(body), .of_route = true},
    {.name = "add", .set = config_set_add, .offset = ROUTE(add), .of_route = true, .repeatable = true},
    {.name = "not_object", .set = config_set_not_object, .offset = ROUTE(not_object), .of_route = true},
    {.name = "on_status",
     .set = config_set_on_status,
     .offset = ROUTE(answers),
     .of_route = true,
     .repeatable = true},
    {.name = "expect_body", .set = config_set_text, .offset = ROUTE(answers.expect_body), .of_route = true},
    {.name = "accepted_status",
     .set = config_set_number,
     .offset = HTTP(accepted_status),
     .min = 200,
     .max = 299},
    {.name = "passthrough", .set = config_set_yes_no, .offset = HTTP(passthrough)},
    {.name = "passthrough_size",
     .set = config_set_size,
     .offset = HTTP(passthrough_size),
     .min = KIBIBYTE,
     .max = 64 * MEBIBYTE},
    {.name = "passthrough_requests",
     .set = config_set_number,
     .offset = HTTP(passthrough_requests),
     .min = 1,
     .max = 100},
    {.name = "max_body",
     .set = config_set_size,
     .offset = HTTP(max_body),
     .min = KIBIBYTE,
     .max = 16 * MEBIBYTE},
    {.name = "max_connections",
     .set = config_set_number,
     .offset = HTTP(max_connections),
     .min = 1,
     .max = 10000},
    {.name = "max_connections_per_client",
     .set = config_set_number,
     .offset = HTTP(max_connections_per_client),
     .min = 1,
     .max = 10000},
    {.name = "timeout",
     .set = config_set_duration,
     .offset = HTTP(timeout_ms),
     .min = SECOND,
     .max = 10 * MINUTE},
};

_Static_assert(ARRAY_LEN(broker_keys) <= CONFIG_KEYS_MAX, "config_section.keys is too short");
_Static_assert(ARRAY_LEN(backend_keys) <= CONFIG_KEYS_MAX, "config_section.keys is too short");
_Static_assert(ARRAY_LEN(route_keys) <= CONFIG_KEYS_MAX, "config_section.keys is too short");
_Static_assert(ARRAY_LEN(http_keys) <= CONFIG_KEYS_MAX, "config_section.keys is too short");

const struct config_keys config_keys[CONFIG_KIND_COUNT] = {
    [CONFIG_DAEMON] = {.section = "daemon", .keys = daemon_keys, .count = ARRAY_LEN(daemon_keys)},
    [CONFIG_BROKER] = {.section = "broker", .keys = broker_keys, .count = ARRAY_LEN(broker_keys)},
    [CONFIG_QUEUE] = {.section = "queue", .keys = queue_keys, .count = ARRAY_LEN(queue_keys)},
    [CONFIG_BACKEND] = {.section = "backend",
                        .named = true,
                        .keys = backend_keys,
                        .count = ARRAY_LEN(backend_keys)},
    [CONFIG_ROUTE] = {.section = "route", .named = true, .keys = route_keys, .count = ARRAY_LEN(route_keys)},
    [CONFIG_HTTP] = {.section = "http",
                     .may_be_named = true,
                     .keys = http_keys,
                     .count = ARRAY_LEN(http_keys)},
};

size_t config_key_find(enum config_kind kind, const char *name)
{
    for (size_t i = 0; i < config_keys[kind].count; i++)
        if (strcmp(config_keys[kind].keys[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

struct config_where config_key_where(const struct config_section *section, const char *name)
{
    size_t i = config_key_find(section->kind, name);

    assert(i != SIZE_MAX);
    return section->keys[i];
}

bool config_key_faulty(const struct config_section *section, const char *name)
{
    size_t i = config_key_find(section->kind, name);

    assert(i != SIZE_MAX);
    return (section->faulty >> i & 1) != 0;
}

void *config_key_field(struct config_parser *parser, const struct config_section *section,
                       const struct config_key *key)
{
    struct config *config = parser->config;
    void *base = NULL;

    switch (section->kind) {
    case CONFIG_DAEMON:
        base = &config->daemon;
        break;
    case CONFIG_BROKER:
        base = &config->broker;
        break;
    case CONFIG_QUEUE:
        base = &config->queue;
        break;
    case CONFIG_BACKEND:
        base = &config->backends[section->index];
        break;
    case CONFIG_ROUTE:
        base = &config->routes[section->index];
        break;
    case CONFIG_HTTP:
        base = &config->https[section->index];
        if (key->of_route)
            base = &config->routes[config->https[section->index].route];
        break;
    case CONFIG_KIND_COUNT:
        break;
    }
    assert(base);
    return (char *)base + key->offset;
}
