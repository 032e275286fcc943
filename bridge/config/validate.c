/* config/validate.c - what can be checked only when every file was read: what is missing, and
 * which keys contradict each other. Then the configuration is finished. config/validate_route.c
 * checks [route] and [http].
 */
#include "config/validate.h"
#include "config/errors.h"
#include "config/keys.h"
#include "config/section.h"
#include "config/validate_route.h"
#include "text/units.h"
#include <string.h>

#define MIB INT64_C(1048576)

static void check_required(struct config_parser *parser, const struct config_section *section)
{
    for (size_t i = 0; i < section->table->count; i++) {
        const struct config_key *key = &section->table->keys[i];
        if (!key->required || section->keys[i].line != 0)
            continue;
        cleanup_free char *title = config_section_title(parser, section);
        config_error(parser, section->where, "%s has no %s; add a line such as %s = %.*s", title, key->name,
                     key->name, (int)strcspn(key->example, "\n"), key->example);
    }
}

/* Two keys that only make sense together. */
static void check_pair(struct config_parser *parser, const struct config_section *section, const char *one,
                       const char *other)
{
    bool has_one = config_section_has(section, one), has_other = config_section_has(section, other);

    if (has_one && !has_other)
        config_error(parser, config_section_where(section, one), "%s needs %s in the same section", one,
                     other);
    if (!has_one && has_other)
        config_error(parser, config_section_where(section, other), "%s needs %s in the same section", other,
                     one);
}

static void check_broker(struct config_parser *parser, const struct config_section *section)
{
    static const char *const of_tls[] = {"ca_file", "cert_file", "key_file"};
    struct config_broker *broker = &parser->config->broker;

    check_pair(parser, section, "username", "password");
    check_pair(parser, section, "cert_file", "key_file");
    if (!config_section_has(section, "tls"))
        broker->tls = config_section_has(section, "ca_file");
    for (size_t i = 0; i < ARRAY_LEN(of_tls) && !broker->tls && !config_section_faulty(section, "tls"); i++)
        if (config_section_has(section, of_tls[i]))
            config_error(parser, config_section_where(section, of_tls[i]),
                         "%s has an effect with TLS only; add tls = yes, or delete the line", of_tls[i]);
    if (broker->tls && !config_section_has(section, "port"))
        broker->port = 8883;
}

/* While a commit is delayed nothing is read, not even the broker's response to a ping. */
static void check_queue(struct config_parser *parser, const struct config_section *section)
{
    struct config *config = parser->config;
    struct config_queue *queue = &config->queue;
    int64_t keepalive_ms = (int64_t)config->broker.keepalive_s * 1000;
    char delay[UNITS_BYTES], keepalive[UNITS_BYTES], dead[UNITS_BYTES], size[UNITS_BYTES];

    if (queue->max_dead == 0)
        queue->max_dead = queue->max_size / 10 / MIB * MIB;
    if (queue->max_dead > queue->max_size)
        config_error(parser, config_section_where(section, "max_dead"),
                     "max_dead (%s) must not be larger than max_size (%s)",
                     units_exact_size(queue->max_dead, dead), units_exact_size(queue->max_size, size));
    if (queue->commit_delay_ms > keepalive_ms / 2)
        config_error(parser, config_section_where(section, "commit_delay"),
                     "commit_delay (%s) must not be longer than half of keepalive (%s) in [broker]",
                     units_exact_duration(queue->commit_delay_ms, delay),
                     units_exact_duration(keepalive_ms, keepalive));
}

static void check_backend(struct config_parser *parser, const struct config_section *section)
{
    const struct config_backend *backend = &parser->config->backends[section->index];
    bool bearer = config_section_has(section, "bearer"), user = config_section_has(section, "username");
    char min[UNITS_BYTES], max[UNITS_BYTES];

    check_pair(parser, section, "username", "password");
    check_pair(parser, section, "cert_file", "key_file");
    if (bearer && user)
        config_error(parser, config_section_where(section, "bearer"),
                     "bearer and username exclude each other; keep the one that the backend asks for");
    if (section->authorization.line != 0 && (bearer || user))
        config_error(parser, section->authorization,
                     "header = Authorization: %s sets this header already; delete one of the two",
                     bearer ? "bearer" : "username");
    if (backend->retry_max_ms < backend->retry_min_ms)
        config_error(parser,
                     config_section_where(section, config_section_has(section, "retry_max") ? "retry_max"
                                                                                            : "retry_min"),
                     "retry_max (%s) must not be shorter than retry_min (%s)",
                     units_exact_duration(backend->retry_max_ms, max),
                     units_exact_duration(backend->retry_min_ms, min));
}

/* The default is in the runtime directory of the systemd unit. A queue in another place
 * belongs to another daemon, for which the unit may have made no such directory. */
void config_finish_socket(struct config_parser *parser)
{
    const struct config_keys *queue_keys = &config_keys[CONFIG_QUEUE];
    const char *usual = queue_keys->keys[config_key_find(CONFIG_QUEUE, "path")].initial;
    struct config *config = parser->config;

    if (config_section_has(&parser->sections[CONFIG_DAEMON], "socket") ||
        strcmp(config->queue.path, usual) == 0)
        return;
    free(config->daemon.socket);
    config->daemon.socket = xasprintf("%s-socket", config->queue.path);
}

static void check_sections(struct config_parser *parser)
{
    for (size_t i = 0; i < parser->section_count; i++) {
        const struct config_section *section = &parser->sections[i];

        if (section->kind == CONFIG_HTTP && parser->config->https[section->index].route == SIZE_MAX)
            continue; /* it has no key, so it is not used */
        check_required(parser, section);
        if (section->kind == CONFIG_BROKER)
            check_broker(parser, section);
        else if (section->kind == CONFIG_QUEUE)
            check_queue(parser, section);
        else if (section->kind == CONFIG_BACKEND)
            check_backend(parser, section);
        else if (section->kind == CONFIG_ROUTE)
            config_check_route(parser, section);
        else if (section->kind == CONFIG_HTTP)
            config_check_http(parser, section);
    }
}

static void check_enough(struct config_parser *parser)
{
    struct config_where whole = {.line = CONFIG_WHOLE_FILE};
    bool http = false;

    for (size_t i = 0; i < parser->config->http_count; i++)
        http = http || parser->config->https[i].route != SIZE_MAX;
    if (!parser->seen[CONFIG_BACKEND])
        config_error(parser, whole,
                     "there is no [backend NAME], so sluice has no destination; add a section such as "
                     "[backend garden] with a url");
    if (!parser->seen[CONFIG_ROUTE] && !http)
        config_error(parser, whole,
                     "there is no [route NAME], so sluice has nothing to forward; add a section such as "
                     "[route sensor] with a topic, or [http] with an address to listen on");
}

struct config *config_parser_finish_partial(struct config_parser *parser, bool *ret_valid)
{
    struct config *config = parser->config;

    check_sections(parser);
    check_enough(parser);
    config_finish_socket(parser);
    config->source = parser->source.data;
    config->source_bytes = parser->source.bytes;
    *ret_valid = parser->found_count == 0;
    config_errors_finish(parser);
    for (size_t i = 0; i < parser->section_count; i++) {
        free(parser->sections[i].backend);
        free(parser->sections[i].add);
    }
    free(parser->sections);
    free(parser);
    return config;
}

struct config *config_parser_finish(struct config_parser *parser)
{
    bool valid;
    struct config *config = config_parser_finish_partial(parser, &valid);

    if (valid)
        return config;
    config_free(config);
    return NULL;
}
