/* config/section.c - the sections that were read, and where their keys were set. */
#include "config/section.h"
#include <assert.h>
#include <string.h>

/* ---- the elements of the configuration ---- */

size_t config_section_new_route(struct config *config, const char *name)
{
    config->routes = xrealloc(config->routes, (config->route_count + 1) * sizeof(*config->routes));
    config->routes[config->route_count] = (struct config_route){.name = xstrdup(name)};
    return config->route_count++;
}

static size_t new_element(struct config *config, enum config_kind kind, const char *name)
{
    if (kind == CONFIG_ROUTE)
        return config_section_new_route(config, name);
    if (kind == CONFIG_BACKEND) {
        config->backends =
            xrealloc(config->backends, (config->backend_count + 1) * sizeof(*config->backends));
        config->backends[config->backend_count] = (struct config_backend){.name = xstrdup(name)};
        return config->backend_count++;
    }
    if (kind == CONFIG_HTTP) {
        config->https = xrealloc(config->https, (config->http_count + 1) * sizeof(*config->https));
        config->https[config->http_count] = (struct config_http){.name = xstrdup(name), .route = SIZE_MAX};
        return config->http_count++;
    }
    return 0; /* there is only one */
}

void *config_section_fields(struct config *config, enum config_kind kind, size_t index)
{
    switch (kind) {
    case CONFIG_DAEMON:
        return &config->daemon;
    case CONFIG_BROKER:
        return &config->broker;
    case CONFIG_QUEUE:
        return &config->queue;
    case CONFIG_BACKEND:
        return &config->backends[index];
    case CONFIG_ROUTE:
        return &config->routes[index];
    case CONFIG_HTTP:
        return &config->https[index];
    default:
        assert(false);
        return NULL;
    }
}

/* ---- sections ---- */

struct config_section *config_section_new(struct config_parser *parser, enum config_kind kind,
                                          const struct config_keys *table, const char *name)
{
    parser->sections = xrealloc(parser->sections, (parser->section_count + 1) * sizeof(*parser->sections));
    struct config_section *section = &parser->sections[parser->section_count++];

    *section = (struct config_section){
        .kind = kind, .table = table, .index = new_element(parser->config, kind, name)};
    return section;
}

/* "" where it has none. */
static const char *name_of(const struct config_parser *parser, const struct config_section *section)
{
    switch (section->kind) {
    case CONFIG_BACKEND:
        return parser->config->backends[section->index].name;
    case CONFIG_ROUTE:
        return parser->config->routes[section->index].name;
    case CONFIG_HTTP:
        return parser->config->https[section->index].name;
    default:
        return "";
    }
}

size_t config_section_find(const struct config_parser *parser, enum config_kind kind, const char *name)
{
    for (size_t i = 0; i < parser->section_count; i++)
        if (parser->sections[i].kind == kind && strcmp(name_of(parser, &parser->sections[i]), name) == 0)
            return i;
    return SIZE_MAX;
}

char *config_section_title(const struct config_parser *parser, const struct config_section *section)
{
    const char *word = section->table->word, *name = name_of(parser, section);

    return *name ? xasprintf("[%s %s]", word, name) : xasprintf("[%s]", word);
}

/* ---- its keys ---- */

static size_t index_of(const struct config_section *section, const char *key)
{
    size_t i = 0;

    while (i < section->table->count && strcmp(section->table->keys[i].name, key) != 0)
        i++;
    assert(i < section->table->count);
    return i;
}

struct config_where config_section_where(const struct config_section *section, const char *key)
{
    return section->keys[index_of(section, key)];
}

bool config_section_has(const struct config_section *section, const char *key)
{
    return config_section_where(section, key).line != 0;
}

bool config_section_faulty(const struct config_section *section, const char *key)
{
    return (section->faulty >> index_of(section, key) & 1) != 0;
}

bool config_section_valid(const struct config_section *section, const char *key)
{
    return config_section_has(section, key) && !config_section_faulty(section, key);
}
