/* request.c - what is sent for a message. See request.h. */
#include "request.h"
#include "body.h"
#include "clock.h"
#include "redact.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    URL_LIMIT_BYTES = 256 * 1024, /* a topic has at most 65,535 bytes, each at most %XX */
    TOPIC_HEADER_BYTES = 4096,    /* servers refuse long headers, and a topic may have 65,535 bytes */
};

static void add_header(struct request *request, const char *name, const char *value)
{
    buf_append_text(&request->headers, name);
    buf_append_text(&request->headers, ": ");
    buf_append_text(&request->headers, value);
    buf_append_char(&request->headers, '\0');
}

/* Printable ASCII stays, but for '%', so that it can be decoded again. */
static void encode_for_header(struct buf *out, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at > 0x20 && *at < 0x7f && *at != '%') {
            buf_append_char(out, (char)*at);
        } else {
            const char escape[] = {'%', hex[*at >> 4], hex[*at & 15]};
            buf_append(out, escape, sizeof escape);
        }
    }
}

static void add_topic(struct request *request, const char *topic)
{
    struct buf encoded cleanup_buf;
    buf_init(&encoded, TOPIC_HEADER_BYTES);
    encode_for_header(&encoded, topic);
    if (!buf_overflowed(&encoded))
        add_header(request, "Sluice-Topic", buf_text(&encoded));
}

/* The date is sent also where it is wrong, marked: the order of messages, and what
 * lies between them, can be told by it all the same. */
static void add_times(struct request *request, const struct message *message, int64_t age_ms)
{
    char received[CLOCK_RFC3339_BYTES];
    clock_format_rfc3339(message->received_ms, received);
    add_header(request, "Sluice-Received", received);
    if (age_ms >= 0) {
        char digits[24];
        snprintf(digits, sizeof digits, "%lld", (long long)age_ms);
        add_header(request, "Sluice-Age", digits);
    }
    if (!message->clock_synchronised)
        add_header(request, "Sluice-Clock", "unsynchronised");
    if (message->late) {
        char since[sizeof "since " + CLOCK_RFC3339_BYTES] = "since ";
        clock_format_rfc3339(message->late_since_ms, since + strlen(since));
        add_header(request, "Sluice-Late", since);
    }
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
                 const struct config_route *route, const struct message *message, int64_t age_ms,
                 char **ret_why)
{
    request->body = message->payload;
    request->body_bytes = message->payload_bytes;
    request->url.limit_bytes = URL_LIMIT_BYTES;
    request->headers.limit_bytes = REQUEST_HEADERS_BYTES;
    buf_reset(&request->url);
    buf_reset(&request->headers);
    char *why = NULL;
    int error = make_url(&request->url, backend, route, message, &why);
    if (error != 0) {
        *ret_why = why ? why : xstrdup("the URL would be too long");
        return -EINVAL;
    }

    add_header(request, "Content-Type", content_type(route, message));
    add_header(request, "Idempotency-Key", message->key);
    add_topic(request, message->topic);
    add_times(request, message, age_ms);
    cleanup_free char *authorization = redact_authorization(backend);
    if (authorization)
        add_header(request, "Authorization", authorization);
    for (size_t i = 0; i < backend->header_count; i++)
        add_header(request, backend->headers[i].name, backend->headers[i].value);
    if (buf_overflowed(&request->headers)) {
        *ret_why = xstrdup("the headers would be too long");
        return -EINVAL;
    }
    return 0;
}

void request_done(struct request *request)
{
    buf_done(&request->url);
    buf_done(&request->headers);
}
