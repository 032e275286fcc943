/* request.c - what is sent for a message. See request.h. */
#include "request.h"
#include "body.h"
#include "redact.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
    URL_LIMIT_BYTES = 256 * 1024, /* a topic has at most 65,535 bytes, each at most %XX */
    MOST_FIXED_HEADERS = 8,
    TOPIC_HEADER_BYTES = 4096, /* servers refuse long headers, and a topic may have 65,535 bytes */
};

static void add_header(struct request *request, char *line)
{
    request->headers[request->header_count++] = line;
}

/* Printable ASCII stays, but for '%', so that it can be decoded again. */
static char *encode_for_header(const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t bytes = strlen(text);
    char *encoded = xcalloc(bytes * 3 + 1, 1), *out = encoded;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c > 0x20 && c < 0x7f && c != '%') {
            *out++ = (char)c;
        } else {
            *out++ = '%';
            *out++ = hex[c >> 4];
            *out++ = hex[c & 15];
        }
    }
    return encoded;
}

static int make_url(struct buf *url, const struct config_backend *backend, const struct config_route *route,
                    const struct message *message, char **ret_why)
{
    buf_append_text(url, backend->url);
    int error = path_template_expand(route->path, message->topic, url, ret_why);
    if (error != 0)
        return error;
    for (size_t i = 0; i < backend->query_count; i++) {
        buf_append_char(url, i == 0 ? '?' : '&');
        buf_append_percent_encoded(url, backend->query[i].name, strlen(backend->query[i].name));
        buf_append_char(url, '=');
        buf_append_percent_encoded(url, backend->query[i].value, strlen(backend->query[i].value));
    }
    return buf_overflowed(url) ? -EMSGSIZE : 0;
}

static const char *content_type(const struct config_route *route, const struct message *message)
{
    if (route->content_type)
        return route->content_type;
    if (message->content_type)
        return message->content_type;
    return body_content_type(message->payload, message->payload_bytes);
}

int request_make(struct request *request, const struct config_backend *backend,
                 const struct config_route *route, const struct message *message, const char *received,
                 int64_t age_ms, char **ret_why)
{
    *request = (struct request){.body = message->payload, .body_bytes = message->payload_bytes};
    buf_init(&request->url, URL_LIMIT_BYTES);
    char *why = NULL;
    int error = make_url(&request->url, backend, route, message, &why);
    if (error != 0) {
        *ret_why = why ? why : xstrdup("the URL would be too long");
        return -EINVAL;
    }

    request->headers = xcalloc(MOST_FIXED_HEADERS + backend->header_count, sizeof *request->headers);
    add_header(request, xasprintf("Content-Type: %s", content_type(route, message)));
    add_header(request, xasprintf("Idempotency-Key: %s", message->key));
    cleanup_free char *topic = encode_for_header(message->topic);
    if (strlen(topic) <= TOPIC_HEADER_BYTES)
        add_header(request, xasprintf("Sluice-Topic: %s", topic));
    add_header(request, xasprintf("Sluice-Received: %s", received));
    if (age_ms >= 0)
        add_header(request, xasprintf("Sluice-Age: %lld", (long long)age_ms));
    cleanup_free char *authorization = redact_authorization(backend);
    if (authorization)
        add_header(request, xasprintf("Authorization: %s", authorization));
    for (size_t i = 0; i < backend->header_count; i++)
        add_header(request, xasprintf("%s: %s", backend->headers[i].name, backend->headers[i].value));
    assert(request->header_count <= MOST_FIXED_HEADERS + backend->header_count);
    return 0;
}

void request_done(struct request *request)
{
    buf_done(&request->url);
    for (size_t i = 0; i < request->header_count; i++)
        free(request->headers[i]);
    free(request->headers);
    request->headers = NULL;
    request->header_count = 0;
}
