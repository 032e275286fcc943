/* config/validate.c - what can only be said when every file was read: what is
 * missing, what contradicts, which backend a route means. */
#include "config/keys.h"
#include "config/values.h"
#include "message/body_envelope.h"
#include "text/nearest.h"
#include <assert.h>
#include <string.h>

static bool is_set(const struct config_section *section, const char *key)
{
    return config_key_where(section, key).line != 0;
}

/* Two keys that only make sense together. */
static void need_both(struct config_parser *parser, const struct config_section *section, const char *one,
                      const char *other)
{
    if (is_set(section, one) && !is_set(section, other))
        config_parser_error(parser, config_key_where(section, one), "%s needs %s beside it", one, other);
    if (!is_set(section, one) && is_set(section, other))
        config_parser_error(parser, config_key_where(section, other), "%s needs %s beside it", other, one);
}

/* Whether it is set, and its value was not refused. */
static bool is_valid(const struct config_section *section, const char *key)
{
    return is_set(section, key) && !config_key_faulty(section, key);
}

/* An [http] without any key is one that nobody wants yet. */
static bool is_unused(const struct config_parser *parser, const struct config_section *section)
{
    return section->kind == CONFIG_HTTP && parser->config->https[section->index].route == SIZE_MAX;
}

static void check_missing(struct config_parser *parser, const struct config_section *section)
{
    const struct config_keys *table = &config_keys[section->kind];

    for (size_t i = 0; i < table->count; i++) {
        if (!table->keys[i].example || section->keys[i].line != 0)
            continue;
        cleanup_free char *title = config_section_title(parser, section);
        config_parser_error(parser, section->where, "%s has no %s; add a line such as %s", title,
                            table->keys[i].name, table->keys[i].example);
    }
}

static void check_broker(struct config_parser *parser, const struct config_section *section)
{
    static const char *const of_tls[] = {"ca_file", "cert_file", "key_file"};
    struct config_broker *broker = &parser->config->broker;

    need_both(parser, section, "username", "password");
    need_both(parser, section, "cert_file", "key_file");
    if (!is_set(section, "tls"))
        broker->tls = is_set(section, "ca_file");
    for (size_t i = 0; i < ARRAY_LEN(of_tls) && !broker->tls && !config_key_faulty(section, "tls"); i++)
        if (is_set(section, of_tls[i]))
            config_parser_error(parser, config_key_where(section, of_tls[i]),
                                "%s is used with TLS only; add tls = yes, or delete the line", of_tls[i]);
}

/* While a commit is delayed nothing is read, not even the broker's answer to a ping. */
static void check_queue(struct config_parser *parser, const struct config_section *section)
{
    const struct config *config = parser->config;
    int64_t most_ms = (int64_t)config->broker.keepalive_s * 1000 / 2;
    if (config->queue.commit_delay_ms <= most_ms)
        return;
    cleanup_free char *delay = config_duration_text(config->queue.commit_delay_ms);
    cleanup_free char *keepalive = config_duration_text((int64_t)config->broker.keepalive_s * 1000);
    config_parser_error(parser, config_key_where(section, "commit_delay"),
                        "commit_delay (%s) must not be longer than half of keepalive (%s) in [broker]", delay,
                        keepalive);
}

static void check_backend(struct config_parser *parser, const struct config_section *section)
{
    const struct config_backend *backend = &parser->config->backends[section->index];

    need_both(parser, section, "username", "password");
    need_both(parser, section, "cert_file", "key_file");
    if (is_set(section, "bearer") && is_set(section, "username"))
        config_parser_error(parser, config_key_where(section, "bearer"),
                            "bearer and username exclude each other; keep what the backend asks for");
    if (section->authorization.line != 0 && (is_set(section, "bearer") || is_set(section, "username")))
        config_parser_error(parser, section->authorization,
                            "header = Authorization: %s sets this header already; keep one of the two",
                            is_set(section, "bearer") ? "bearer" : "username");
    if (backend->retry_max_ms < backend->retry_min_ms) {
        const char *key = is_set(section, "retry_max") ? "retry_max" : "retry_min";
        cleanup_free char *min = config_duration_text(backend->retry_min_ms);
        cleanup_free char *max = config_duration_text(backend->retry_max_ms);
        config_parser_error(parser, config_key_where(section, key),
                            "retry_max (%s) must not be shorter than retry_min (%s)", max, min);
    }
}

static void report_backend(struct config_parser *parser, const struct config_section *section)
{
    const struct config *config = parser->config;
    struct config_where where = config_key_where(section, "backend");
    const char **names = xcalloc(config->backend_count, sizeof(*names));

    for (size_t i = 0; i < config->backend_count; i++)
        names[i] = config->backends[i].name;
    size_t near = nearest_find(section->backend, names, config->backend_count);
    if (near != SIZE_MAX)
        config_parser_error(parser, where, "backend = %s: there is no [backend %s]; did you mean '%s'?",
                            section->backend, section->backend, names[near]);
    else
        config_parser_error(parser, where, "backend = %s: there is no [backend %s]; the first one is '%s'",
                            section->backend, section->backend, names[0]);
    free(names);
}

/* Topics that a filter without '#' matches have as many levels as it has. `highest`
 * is the highest one that this key refers to. */
static void check_levels(struct config_parser *parser, const struct config_section *section,
                         const struct config_route *route, const char *key, unsigned highest)
{
    for (size_t i = 0; i < route->topic_count; i++) {
        const char *filter = route->topics[i];
        unsigned levels = 1;
        for (const char *at = filter; *at; at++)
            levels += *at == '/';
        if (!strchr(filter, '#') && strncmp(filter, "$share/", strlen("$share/")) != 0 && levels < highest)
            config_parser_error(
                parser, section->where,
                "[route %s] has {%u} in its %s, and topics that match '%s' have only %u levels; "
                "correct one of the two",
                route->name, highest, key, filter, levels);
    }
}

/* An envelope says these of every message, and they would not be added. */
static void check_envelope(struct config_parser *parser, const struct config_section *section,
                           const struct fields *add)
{
    for (size_t i = 0; i < fields_count(add); i++)
        if (body_envelope_has(fields_name(add, i)))
            config_parser_error(parser, config_key_where(section, "add"),
                                "add = %s: an envelope has a member of this name already; choose another",
                                fields_name(add, i));
}

/* What is made of payloads: keys that mean something beside others only. */
static void check_body(struct config_parser *parser, const struct config_section *section,
                       const struct config_route *route)
{
    bool known = !config_key_faulty(section, "body");

    if (known && route->body == CONFIG_BODY_RAW && is_valid(section, "add"))
        config_parser_error(parser, config_key_where(section, "add"),
                            "add is used with body = json or body = envelope only: a raw body stays as it "
                            "is; set one of them, or delete the line");
    if (known && route->body != CONFIG_BODY_JSON && is_valid(section, "not_object"))
        config_parser_error(parser, config_key_where(section, "not_object"),
                            "not_object is used with body = json only; set that, or delete the line");
    if (known && route->body == CONFIG_BODY_ENVELOPE)
        check_envelope(parser, section, route->add);
}

static void check_batch(struct config_parser *parser, const struct config_section *section,
                        const struct config_route *route)
{
    static const char *const of_batch[] = {"batch_size", "batch_format", "linger"};
    bool known = !config_key_faulty(section, "body");

    if (known && route->body == CONFIG_BODY_RAW && is_valid(section, "batch"))
        config_parser_error(parser, config_key_where(section, "batch"),
                            "batch is used with body = json or body = envelope only: a raw body can be no "
                            "member of an array; set one of them, or delete the line");
    for (size_t i = 0; i < ARRAY_LEN(of_batch) && !is_set(section, "batch"); i++)
        if (is_valid(section, of_batch[i]))
            config_parser_error(parser, config_key_where(section, of_batch[i]),
                                "%s is used with batch only; add a line such as batch = 100, or delete this "
                                "one",
                                of_batch[i]);
}

/* The backend that a route names, or the only one. */
static void find_backend(struct config_parser *parser, const struct config_section *section,
                         struct config_route *route)
{
    const struct config *config = parser->config;

    if (config->backend_count == 0)
        return; /* reported as such */
    if (is_set(section, "backend")) {
        if (!section->backend)
            return; /* an empty value, which was reported */
        for (size_t i = 0; i < config->backend_count; i++) {
            if (strcmp(config->backends[i].name, section->backend) == 0) {
                route->backend = i;
                return;
            }
        }
        report_backend(parser, section);
    } else if (config->backend_count > 1) {
        cleanup_free char *title = config_section_title(parser, section);
        config_parser_error(parser, section->where,
                            "%s does not say which of the %zu backends it goes to; add a line such as "
                            "backend = %s",
                            title, config->backend_count, config->backends[0].name);
    }
}

static void set_no_path(struct config_route *route)
{
    char *why = NULL;
    int error = path_template_parse("", &route->path, &why);
    assert(error == 0);
    (void)error;
}

static void check_route(struct config_parser *parser, const struct config_section *section)
{
    struct config_route *route = &parser->config->routes[section->index];

    if (!is_set(section, "path"))
        set_no_path(route);
    if (route->path)
        check_levels(parser, section, route, "path", path_template_highest_level(route->path));
    if (route->add)
        check_levels(parser, section, route, "add", fields_highest_level(route->add));
    check_body(parser, section, route);
    check_batch(parser, section, route);
    find_backend(parser, section, route);
}

/* The default is in systemd's runtime directory of the unit; a queue in another place
 * is another daemon's, and may have a directory that the unit does not know. */
void config_finish_place(struct config *config)
{
    if (config->daemon.socket)
        return;
    bool usual = strcmp(config->queue.path, CONFIG_QUEUE_PATH) == 0;
    config->daemon.socket =
        usual ? xstrdup("/run/sluice/sluice.sock") : xasprintf("%s-socket", config->queue.path);
}

/* What waits in the queue knows its route by the name, and nothing else. */
static void check_http(struct config_parser *parser, const struct config_section *section)
{
    struct config *config = parser->config;
    size_t own = config->https[section->index].route;
    struct config_route *route = &config->routes[own];

    set_no_path(route);
    check_body(parser, section, route);
    find_backend(parser, section, route);
    for (size_t i = 0; i < config->route_count; i++) {
        if (i == own || (config->routes[i].http && i > own) ||
            strcmp(config->routes[i].name, route->name) != 0)
            continue;
        cleanup_free char *title = config_section_title(parser, section);
        config_parser_error(parser, section->where,
                            "%s and [%s %s] would both be the route '%s'; give one of them another name",
                            title, config->routes[i].http ? "http" : "route", route->name, route->name);
        return;
    }
}

static bool any_http(const struct config *config)
{
    for (size_t i = 0; i < config->http_count; i++)
        if (config->https[i].route != SIZE_MAX)
            return true;
    return false;
}

void config_finish_check(struct config_parser *parser)
{
    struct config *config = parser->config;
    struct config_where whole = {.line = CONFIG_WHOLE_FILE};
    bool port_set = false;

    for (size_t i = 0; i < parser->section_count; i++) {
        const struct config_section *section = &parser->sections[i];

        if (is_unused(parser, section))
            continue;
        check_missing(parser, section);
        if (section->kind == CONFIG_BROKER) {
            check_broker(parser, section);
            port_set = is_set(section, "port");
        } else if (section->kind == CONFIG_QUEUE) {
            check_queue(parser, section);
        } else if (section->kind == CONFIG_BACKEND) {
            check_backend(parser, section);
        } else if (section->kind == CONFIG_ROUTE) {
            check_route(parser, section);
        } else if (section->kind == CONFIG_HTTP) {
            check_http(parser, section);
        }
    }
    config_finish_place(config);
    config_ack_check(parser);
    if (!port_set)
        config->broker.port = config->broker.tls ? 8883 : 1883;
    if (!parser->tried[CONFIG_BACKEND])
        config_parser_error(
            parser, whole,
            "there is no [backend NAME]: sluice would not know where to; add a section such as "
            "[backend garden] with a url");
    if (!parser->tried[CONFIG_ROUTE] && !any_http(config))
        config_parser_error(parser, whole,
                            "there is no [route NAME]: sluice would forward nothing; add a section such as "
                            "[route sensor] with a topic, or [http] with an address to listen on");
}
