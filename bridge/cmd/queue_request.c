/* cmd/queue_request.c - see cmd/queue_request.h. */
#include "cmd/queue_request.h"
#include "base/clock.h"
#include "config/file.h"
#include "request/request.h"
#include "text/display.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

void print_indented(const char *text, size_t bytes)
{
    const char *end = text + bytes;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *line_end = newline ? newline : end;
        struct buf safe cleanup_buf;
        buf_init(&safe, BUF_MOST_BYTES);
        display_append_safe(&safe, text, (size_t)(line_end - text));
        printf("    %s\n", buf_text(&safe));
        text = newline ? newline + 1 : end;
    }
}

int64_t queue_message_age_ms(const struct message *message)
{
    if (message->this_boot)
        return clock_uptime_ms() - message->uptime_ms;
    return message->clock_synchronised ? clock_wall_ms() - message->received_ms : -1;
}

/* Returns the backend; NULL, and why there is no request, which the caller frees. *request is
 * to be ended in both cases. */
static const struct config_backend *make_request(const struct config *config, const struct message *message,
                                                 struct request *request, char **ret_why)
{
    size_t number = config_find_route(config, message->route);
    if (number == SIZE_MAX) {
        *ret_why =
            xasprintf("the configuration has no [route %s]: it is held until there is one", message->route);
        return NULL;
    }
    const struct config_route *route = &config->routes[number];
    const struct config_backend *backend = &config->backends[route->backend];
    const char *reason;
    request_begin(request, config->gateway, backend, route, (size_t)route->batch_size);
    if (request_add(request, message, queue_message_age_ms(message), &reason, ret_why) == 0 &&
        request_finish(request, &reason, ret_why) == 0)
        return backend;
    return NULL;
}

/* Whether the body differs from the payload. */
static bool has_own_body(const struct request *request)
{
    return request->made.bytes > 0;
}

/* In an Authorization header, everything after the scheme is made of a secret. */
static const char *header_value(const char *header, size_t name_bytes, char *masked, size_t masked_bytes)
{
    const char *value = header + name_bytes + 2;
    if (name_bytes != strlen("Authorization") || strncasecmp(header, "Authorization", name_bytes) != 0)
        return value;
    snprintf(masked, masked_bytes, "%.*s " CONFIG_FILE_HIDDEN, (int)strcspn(value, " "), value);
    return masked;
}

static const char *method_of(const struct request *request)
{
    return request->method[0] != '\0' ? request->method : "POST";
}

/* The URL of the request, without the values in the query that an HTTP client sent, because
 * one may be its key. Freed by the caller. */
static char *url_of(const struct request *request, const struct message *message)
{
    const char *url = buf_text(&request->url);
    const char *query = message->target ? strchr(message->target, '?') : NULL;
    if (!query)
        return xstrdup(url);
    const char *at = strchr(url, '?') + 1; /* the query of the client comes first */
    const char *end = at + strlen(query + 1);
    struct buf shown;
    buf_init(&shown, BUF_MOST_BYTES);
    buf_append(&shown, url, (size_t)(at - url));
    while (at < end) {
        size_t pair = strcspn(at, "&"), name = strcspn(at, "=");
        if (name < pair)
            buf_append(&shown, at, name + 1);
        if (pair > 0)
            buf_append_text(&shown, CONFIG_FILE_HIDDEN);
        at += pair;
        if (at < end)
            buf_append_char(&shown, *at++);
    }
    buf_append_text(&shown, end);
    return shown.data; /* the caller's */
}

typedef void header_fn(void *context, const char *name, const char *value);

static void each_header(const struct request *request, header_fn *visit, void *context)
{
    const char *at = buf_text(&request->headers), *end = at + request->headers.bytes;
    for (; at < end; at += strlen(at) + 1) {
        char masked[64];
        size_t name_bytes = strcspn(at, ":");
        cleanup_free char *name = xstrndup(at, name_bytes);
        visit(context, name, header_value(at, name_bytes, masked, sizeof masked));
    }
}

static void print_header(void *unused, const char *name, const char *value)
{
    (void)unused;
    printf("    %s: %s\n", name, value);
}

static void add_header(void *context, const char *name, const char *value)
{
    cJSON_AddStringToObject(context, name, value);
}

void queue_request_print(const struct config *config, const struct message *message)
{
    cleanup_free char *why = NULL;
    struct request request = {.messages = 0};
    const struct config_backend *backend = make_request(config, message, &request, &why);
    if (backend) {
        cleanup_free char *url = url_of(&request, message);
        printf("  would be sent to backend %s\n    %s %s\n", backend->name, method_of(&request), url);
        each_header(&request, print_header, NULL);
        if (request.route->batch > 1 && !request.alone)
            printf("  with up to %u others in one body\n", request.route->batch - 1);
        if (has_own_body(&request)) {
            printf("  with this body%s\n", backend->gzip ? ", compressed" : "");
            print_indented(request.made.data, request.made.bytes);
        }
    } else {
        printf("  no request can be made: %s\n", why);
    }
    request_done(&request);
}

void queue_request_add(const struct config *config, const struct message *message, cJSON *to)
{
    cleanup_free char *why = NULL;
    struct request request = {.messages = 0};
    const struct config_backend *backend = make_request(config, message, &request, &why);
    if (backend) {
        cJSON *made = cJSON_AddObjectToObject(to, "request");
        cJSON_AddStringToObject(made, "backend", backend->name);
        cleanup_free char *url = url_of(&request, message);
        cJSON_AddStringToObject(made, "method", method_of(&request));
        cJSON_AddStringToObject(made, "url", url);
        each_header(&request, add_header, cJSON_AddObjectToObject(made, "headers"));
        if (has_own_body(&request))
            cJSON_AddStringToObject(made, "body", buf_text(&request.made));
    } else {
        cJSON_AddStringToObject(to, "no_request", why);
    }
    request_done(&request);
}
