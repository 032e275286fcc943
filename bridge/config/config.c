/* config/config.c - the finished configuration. */
#include "base/buf.h"
#include "config/keys.h"
#include "config/secret.h"
#include "config/values.h"
#include <string.h>

/* ---- freeing ---- */

static void fields_done(enum config_kind kind, void *fields)
{
    for (size_t i = 0; i < config_keys[kind].count; i++) {
        const struct config_key *key = &config_keys[kind].keys[i];
        if (key->type->done && !key->of_route)
            key->type->done((char *)fields + key->offset);
    }
}

void config_free(struct config *config)
{
    if (!config)
        return;
    free(config->gateway);
    free(config->source);
    secrets_done(&config->secrets);
    free(config->broker.fault);
    fields_done(CONFIG_DAEMON, &config->daemon);
    fields_done(CONFIG_BROKER, &config->broker);
    fields_done(CONFIG_QUEUE, &config->queue);
    for (size_t i = 0; i < config->backend_count; i++) {
        free(config->backends[i].name);
        free(config->backends[i].fault);
        fields_done(CONFIG_BACKEND, &config->backends[i]);
    }
    for (size_t i = 0; i < config->route_count; i++) {
        free(config->routes[i].name);
        free(config->routes[i].fault);
        config_type_query.done(&config->routes[i].query);
        fields_done(CONFIG_ROUTE, &config->routes[i]);
    }
    for (size_t i = 0; i < config->http_count; i++) {
        free(config->https[i].name);
        fields_done(CONFIG_HTTP, &config->https[i]);
    }
    free(config->backends);
    free(config->routes);
    free(config->https);
    free(config);
}

/* ---- comparing ---- */

static bool is_equal(const struct config_key *key, const void *one, const void *other)
{
    const char *a = (const char *)one + key->offset, *b = (const char *)other + key->offset;

    return key->type->equal ? key->type->equal(a, b) : memcmp(a, b, key->type->bytes) == 0;
}

char *config_restart_keys(const struct config *running, const struct config *next)
{
    static const enum config_kind kinds[] = {CONFIG_DAEMON, CONFIG_BROKER, CONFIG_QUEUE};
    const void *old[] = {&running->daemon, &running->broker, &running->queue};
    const void *new[] = {&next->daemon, &next->broker, &next->queue};
    struct buf changed cleanup_buf;

    buf_init(&changed, 4096);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct config_keys *table = &config_keys[kinds[i]];
        for (size_t k = 0; k < table->count; k++) {
            const struct config_key *key = &table->keys[k];
            if ((key->restart || (table->restart && !key->live)) && !is_equal(key, old[i], new[i]))
                buf_printf(&changed, "%s[%s] %s", changed.bytes > 0 ? ", " : "", table->word, key->name);
        }
    }
    return changed.bytes > 0 ? xstrdup(buf_text(&changed)) : NULL;
}

char *config_counts(const struct config *config)
{
    return xasprintf("%zu backend%s, %zu route%s", config->backend_count,
                     config->backend_count == 1 ? "" : "s", config->route_count,
                     config->route_count == 1 ? "" : "s");
}

size_t config_find_route(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->route_count; i++)
        if (strcmp(config->routes[i].name, name) == 0)
            return i;
    for (size_t i = 0; i < config->route_count; i++)
        if (config->routes[i].formerly && strcmp(config->routes[i].formerly, name) == 0)
            return i;
    return SIZE_MAX;
}
