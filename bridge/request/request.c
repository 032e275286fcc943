/* request/request.c - what is sent for messages. See request/request.h. */
#include "request/request.h"
#include "base/clock.h"
#include "message/body.h"
#include "request/digest.h"
#include "request/form.h"
#include "request/gzip.h"
#include "request/redact.h"
#include "request/target.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    URL_LIMIT_BYTES = 256 * 1024, /* a topic has at most 65,535 bytes, each at most %XX */
    TOPIC_HEADER_BYTES = 4096,    /* servers refuse long headers, and a topic may have 65,535 bytes */
    BODY_LIMIT_BYTES = 1 << 30,   /* of one body */
    BODY_KEEP_BYTES = 256 * 1024, /* memory that is kept from one request to the next */
    GZIP_LEAST_BYTES = 256,       /* shorter bodies gain nothing */
};

static void add_header(struct request *request, const char *name, const char *value)
{
    buf_append_text(&request->headers, name);
    buf_append_text(&request->headers, ": ");
    buf_append_text(&request->headers, value);
    buf_append_char(&request->headers, '\0');
}

/* Printable ASCII stays, except '%', so that it can be decoded again. */
static void encode_for_header(struct buf *out, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (;;) {
        size_t plain = 0;
        while (text[plain] > 0x20 && text[plain] < 0x7f && text[plain] != '%')
            plain++;
        buf_append(out, text, plain);
        unsigned char other = (unsigned char)text[plain];
        if (other == '\0')
            return;
        const char escape[] = {'%', hex[other >> 4], hex[other & 15]};
        buf_append(out, escape, sizeof escape);
        text += plain + 1;
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

/* A date that may be wrong is sent too, with a mark: the order of messages and the time
 * between them still show in it. */
static void add_times(struct request *request)
{
    const struct message *message = &request->first;
    char received[CLOCK_RFC3339_BYTES];
    clock_format_rfc3339(message->received_ms, received);
    add_header(request, "Sluice-Received", received);
    if (request->age_ms >= 0) {
        char digits[24];
        snprintf(digits, sizeof digits, "%lld", (long long)request->age_ms);
        add_header(request, "Sluice-Age", digits);
    }
    if (message->late) {
        char since[sizeof "since " + CLOCK_RFC3339_BYTES] = "since ";
        clock_format_rfc3339(message->late_since_ms, since + strlen(since));
        add_header(request, "Sluice-Late", since);
    }
}

static void add_backend_headers(struct request *request, const struct config_backend *backend)
{
    cleanup_free char *authorization = redact_authorization(backend);
    if (authorization)
        add_header(request, "Authorization", authorization);
    for (size_t i = 0; i < backend->headers.count; i++)
        add_header(request, backend->headers.items[i].name, backend->headers.items[i].value);
}

static const char *fault_of(const struct config_backend *backend, const struct config_route *route)
{
    return backend->fault ? backend->fault : route->fault;
}

/* ---- messages ---- */

void request_begin(struct request *request, const char *gateway, const struct config_backend *backend,
                   const struct config_route *route, size_t batch_bytes)
{
    request->url.limit_bytes = request->other.limit_bytes = URL_LIMIT_BYTES;
    request->headers.limit_bytes = REQUEST_HEADERS_BYTES;
    request->topic.limit_bytes = UINT16_MAX;
    request->made.limit_bytes = request->compressed.limit_bytes = BODY_LIMIT_BYTES;
    buf_reset(&request->url);
    buf_reset(&request->headers);
    buf_reset(&request->topic);
    buf_reset(&request->made);
    request->gateway = gateway;
    request->backend = backend;
    request->route = route;
    request->fault = fault_of(backend, route);
    request->body_most = batch_bytes;
    request->messages = request->repaired = 0;
    request->alone = route->batch == 0;
    request->same_topic = request->synchronised = true;
    request->retained = false;
}

static void append_query(struct buf *url, const struct config_backend *backend,
                         const struct config_route *route)
{
    target_append_query(url, route->query.items, route->query.count);
    target_append_query(url, backend->query.items, backend->query.count);
}

static int make_url(struct buf *url, const struct request *request, const struct message *message,
                    char **ret_why)
{
    buf_append_text(url, request->backend->url);
    if (message->target) {
        const char *why = "the target is not below /api";
        if (target_check(message->target, strlen(message->target), &why) != TARGET_FINE) {
            *ret_why = xstrdup(why);
            return -EINVAL;
        }
        target_append(url, message->target);
    } else {
        int error = path_template_expand(request->route->path, message->topic, url, ret_why);
        if (error != 0)
            return error;
    }
    append_query(url, request->backend, request->route);
    return buf_overflowed(url) ? -EMSGSIZE : 0;
}

/* Makes the URL of the first message; checks whether that of another is the same. */
static int check_url(struct request *request, const struct message *message, char **ret_why)
{
    if (request->messages > 0 && path_template_highest_level(request->route->path) == 0)
        return 0;
    struct buf *url = request->messages > 0 ? &request->other : &request->url;
    buf_reset(url);
    char *why = NULL;
    int error = make_url(url, request, message, &why);
    if (error != 0) {
        *ret_why = why ? why : xstrdup("the URL would be too long");
        return -EINVAL;
    }
    bool same = url == &request->url || strcmp(buf_text(url), buf_text(&request->url)) == 0;
    return same ? 0 : -EXDEV;
}

static const char *separator(const struct request *request)
{
    if (request->route->batch == 0 || request->route->format == CONFIG_FORMAT_NDJSON)
        return "";
    return request->messages == 0 ? "[" : ",";
}

/* Appends the message in the form that its route asks for; returns as form_append. */
static int append_body(struct request *request, const struct message *message, int64_t age_ms,
                       bool *ret_repaired, char **ret_why)
{
    const struct config_route *route = request->route;
    const struct body_plan plan = {.add = route->add,
                                   .one_line = route->batch > 0 && route->format == CONFIG_FORMAT_NDJSON,
                                   .age_ms = age_ms,
                                   .gateway = request->gateway};
    buf_append_text(&request->made, separator(request));
    int error = form_append(&request->made, route, message, &plan, ret_repaired, ret_why);
    return error == 0 && plan.one_line ? buf_append_char(&request->made, '\n') : error;
}

/* The bracket after the last message comes later. */
static bool is_too_long(const struct request *request)
{
    return request->messages > 0 && request->made.bytes + strlen("]") > request->body_most;
}

static void note_message(struct request *request, const struct message *message, int64_t age_ms)
{
    request->synchronised &= message->clock_synchronised;
    request->retained |= message->retained != 0;
    if (request->messages++ == 0) {
        request->first = *message;
        snprintf(request->method, sizeof request->method, "%s", message->method ? message->method : "");
        request->age_ms = age_ms;
        buf_append_text(&request->topic, message->topic);
        return;
    }
    if (request->messages == 2) {
        if (!request->keys)
            request->keys = digest_new();
        digest_start(request->keys);
        digest_add(request->keys, request->first.key, strlen(request->first.key) + 1);
    }
    digest_add(request->keys, message->key, strlen(message->key) + 1);
    request->same_topic = request->same_topic && strcmp(buf_text(&request->topic), message->topic) == 0;
}

/* Whether it can be the value of a header. A broker may let anything pass. */
static bool is_fit(const char *value)
{
    for (; *value; value++)
        if (*value < 0x20 || *value > 0x7e)
            return false;
    return true;
}

static void send_as_it_is(struct request *request, const struct message *message)
{
    request->body = message->payload;
    request->body_bytes = message->payload_bytes;
    request->alone = true;
    request->content_type =
        message->content_type && is_fit(message->content_type) ? message->content_type : NULL;
    if (!request->content_type && !request->route->content_type)
        request->content_type = body_content_type(message->payload, message->payload_bytes);
}

int request_add(struct request *request, const struct message *message, int64_t age_ms,
                const char **ret_reason, char **ret_why)
{
    if (request->messages > 0 && request->alone)
        return -EXDEV;
    if (request->messages > 0 && request->made.bytes + message->payload_bytes > request->body_most)
        return -EMSGSIZE;
    size_t before = request->made.bytes;
    char *why = NULL;
    const char *reason = "path";
    bool repaired = false;
    int error = check_url(request, message, &why);
    if (error == 0) {
        reason = "body";
        error = append_body(request, message, age_ms, &repaired, &why);
        if (error == 0 && is_too_long(request))
            error = -EMSGSIZE;
        if (error != 0)
            buf_cut(&request->made, before);
        else
            request->content_type = NULL;
        if (error == -ENOMSG && request->messages > 0)
            error = -EXDEV;
    }
    if (error == -ENOMSG)
        send_as_it_is(request, message);
    else if (error == -EINVAL || error == -ENODATA)
        *ret_reason = reason, *ret_why = why;
    if (error != 0 && error != -ENOMSG)
        return error;
    note_message(request, message, age_ms);
    request->repaired += repaired;
    return 0;
}

/* ---- the end ---- */

static const char *content_type(const struct request *request)
{
    const struct config_route *route = request->route;
    if (route->content_type)
        return route->content_type;
    if (request->content_type)
        return request->content_type;
    return route->batch > 0 && route->format == CONFIG_FORMAT_NDJSON ? "application/x-ndjson"
                                                                     : "application/json";
}

/* A single message has its own key, even if it was in a batch before. */
static void add_key(struct request *request)
{
    char text[DIGEST_TEXT_BYTES];
    if (request->messages > 1)
        digest_end(request->keys, text);
    add_header(request, "Idempotency-Key", request->messages > 1 ? text : request->first.key);
}

static void add_messages(struct request *request)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%u", request->messages);
    add_header(request, "Sluice-Messages", digits);
}

static void compress(struct request *request)
{
    if (!request->backend->gzip || request->body_bytes < GZIP_LEAST_BYTES)
        return;
    if (!request->gzip)
        request->gzip = gzip_new();
    buf_reset(&request->compressed);
    if (gzip_compress(request->gzip, request->body, request->body_bytes, &request->compressed) != 0 ||
        request->compressed.bytes >= request->body_bytes)
        return;
    request->body = request->compressed.data;
    request->body_bytes = request->compressed.bytes;
    add_header(request, "Content-Encoding", "gzip");
}

int request_finish(struct request *request, const char **ret_reason, char **ret_why)
{
    assert(request->messages > 0);
    if (request->made.bytes > 0) {
        if (request->route->batch > 0 && request->route->format == CONFIG_FORMAT_ARRAY)
            buf_append_char(&request->made, ']');
        request->body = request->made.data;
        request->body_bytes = request->made.bytes;
    }
    request->full_bytes = request->body_bytes;

    add_header(request, "Content-Type", content_type(request));
    add_key(request);
    if (request->same_topic)
        add_topic(request, buf_text(&request->topic));
    if (request->messages == 1)
        add_times(request);
    else
        add_messages(request);
    if (!request->synchronised)
        add_header(request, "Sluice-Clock", "unsynchronised");
    if (request->retained)
        add_header(request, "Sluice-Retained", "yes");
    add_backend_headers(request, request->backend);
    compress(request);
    if (buf_overflowed(&request->headers)) {
        *ret_reason = "headers";
        *ret_why = xstrdup("the headers would be too long");
        return -EINVAL;
    }
    return 0;
}

void request_trim(struct request *request)
{
    if (request->made.capacity > BODY_KEEP_BYTES)
        buf_done(&request->made);
    if (request->compressed.capacity > BODY_KEEP_BYTES)
        buf_done(&request->compressed);
}

static bool has_authorization(const struct config_backend *backend)
{
    for (size_t i = 0; i < backend->headers.count; i++)
        if (strcasecmp(backend->headers.items[i].name, "Authorization") == 0)
            return true;
    return backend->bearer || backend->username;
}

int request_pass(struct request *request, const struct config_backend *backend,
                 const struct config_route *route, const char *method, const char *target, const char *accept,
                 const char *authorization)
{
    request->url.limit_bytes = URL_LIMIT_BYTES;
    request->headers.limit_bytes = REQUEST_HEADERS_BYTES;
    buf_reset(&request->url);
    buf_reset(&request->headers);
    request->fault = fault_of(backend, route);
    snprintf(request->method, sizeof request->method, "%s", method);
    buf_append_text(&request->url, backend->url);
    target_append(&request->url, target);
    append_query(&request->url, backend, route);
    if ((accept && !is_fit(accept)) || (authorization && !is_fit(authorization)))
        return -EINVAL;
    if (accept)
        add_header(request, "Accept", accept);
    if (authorization && !has_authorization(backend))
        add_header(request, "Authorization", authorization);
    add_backend_headers(request, backend);
    return buf_overflowed(&request->url) || buf_overflowed(&request->headers) ? -EINVAL : 0;
}

void request_done(struct request *request)
{
    buf_done(&request->url);
    buf_done(&request->headers);
    buf_done(&request->topic);
    buf_done(&request->made);
    buf_done(&request->other);
    buf_done(&request->compressed);
    digest_free(request->keys);
    gzip_free(request->gzip);
    request->keys = NULL;
    request->gzip = NULL;
}
