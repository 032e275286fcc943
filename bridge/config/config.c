/* config/config.c - the finished configuration, and the list of errors. The parser is
 * in config/sections.c. */
#include "config/config.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void config_errors_add(struct config_errors *errors, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *line = xvasprintf(format, args);
    va_end(args);
    errors->lines = xrealloc(errors->lines, (errors->count + 1) * sizeof(*errors->lines));
    errors->lines[errors->count++] = line;
}

void config_errors_done(struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        free(errors->lines[i]);
    free(errors->lines);
    *errors = (struct config_errors){0};
}

static void broker_done(struct config_broker *broker)
{
    free(broker->host);
    free(broker->client_id);
    free(broker->username);
    free(broker->password);
    free(broker->ca_file);
    free(broker->cert_file);
    free(broker->key_file);
}

static void pairs_free(struct config_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(pairs[i].name);
        free(pairs[i].value);
    }
    free(pairs);
}

static void answers_done(struct config_answers *answers)
{
    free(answers->rules);
    free(answers->expect_body);
}

static void backend_done(struct config_backend *backend)
{
    free(backend->name);
    free(backend->url);
    pairs_free(backend->query, backend->query_count);
    pairs_free(backend->headers, backend->header_count);
    free(backend->bearer);
    free(backend->username);
    free(backend->password);
    free(backend->ca_file);
    free(backend->cert_file);
    free(backend->key_file);
    answers_done(&backend->answers);
}

static void route_done(struct config_route *route)
{
    free(route->name);
    for (size_t i = 0; i < route->topic_count; i++)
        free(route->topics[i]);
    free(route->topics);
    path_template_free(route->path);
    free(route->ack_topic);
    free(route->content_type);
    fields_free(route->add);
    answers_done(&route->answers);
    pairs_free(route->query, route->query_count);
}

static void http_done(struct config_http *http)
{
    free(http->name);
    for (size_t i = 0; i < http->listen_count; i++)
        free(http->listens[i].text);
    free(http->listens);
    free(http->allow);
}

void config_free(struct config *config)
{
    if (!config)
        return;
    free(config->gateway);
    free(config->daemon.socket);
    broker_done(&config->broker);
    free(config->queue.path);
    for (size_t i = 0; i < config->backend_count; i++)
        backend_done(&config->backends[i]);
    free(config->backends);
    for (size_t i = 0; i < config->route_count; i++)
        route_done(&config->routes[i]);
    free(config->routes);
    for (size_t i = 0; i < config->http_count; i++)
        http_done(&config->https[i]);
    free(config->https);
    free(config);
}

size_t config_find_route(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->route_count; i++)
        if (strcmp(config->routes[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

/* ---- what a reload cannot change ---- */

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same_broker(const struct config_broker *a, const struct config_broker *b)
{
    return is_same_text(a->host, b->host) && a->port == b->port && is_same_text(a->client_id, b->client_id) &&
           is_same_text(a->username, b->username) && is_same_text(a->password, b->password) &&
           a->tls == b->tls && is_same_text(a->ca_file, b->ca_file) &&
           is_same_text(a->cert_file, b->cert_file) && is_same_text(a->key_file, b->key_file) &&
           a->keepalive_s == b->keepalive_s && a->session_expiry_s == b->session_expiry_s &&
           a->protocol == b->protocol;
}

bool config_needs_restart(const struct config *running, const struct config *next)
{
    const struct config_queue *old = &running->queue, *new = &next->queue;
    return !is_same_broker(&running->broker, &next->broker) || !is_same_text(old->path, new->path) ||
           old->commit_batch != new->commit_batch || old->trust_clock != new->trust_clock ||
           old->commit_delay_ms != new->commit_delay_ms ||
           !is_same_text(running->daemon.socket, next->daemon.socket);
}
