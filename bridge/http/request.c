/* http/request.c - see http/request.h.
 *
 * libmicrohttpd (0.9.75) accepts more than it should: two Content-Lengths; Content-Length
 * beside Transfer-Encoding; "Content-Length : 4", as a header of another name; any transfer
 * encoding that is not "chunked", and then reads until the connection ends; POST without a
 * length. A header that goes on in a second line it puts after the header's name, where it
 * makes a copy of it. All of that shows in the list of headers (framing_check), before it
 * reads a body. Only a malformed Content-Length, or one that a blank follows, it refuses
 * before anybody sees the head, and its response (400, or 413) starts twice, so that its
 * body is no use. The URL that it gives is decoded; the raw target comes by its callback for
 * logs. That one is cut at a NUL, which shows by where the version begins, after the target
 * in the same line.
 */
#include "http/request.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/internal.h"
#include "request/target.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    BODIES_BYTES = 16 * 1024 * 1024, /* that are kept at once, over all connections of one [http] */
    DRAIN_BYTES = 64 * 1024,         /* of a refused body are read so that the client gets the response */
};

/* ---- time-outs ---- */

void http_stop_time(struct client *client)
{
    if (client->in_line)
        TAILQ_REMOVE(&client->server->line, client, line);
    client->in_line = false;
}

void http_restart_time(struct client *client)
{
    http_stop_time(client);
    client->since_ms = clock_uptime_ms();
    TAILQ_INSERT_TAIL(&client->server->line, client, line);
    client->in_line = true;
}

/* ---- responses ---- */

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (value && MHD_add_response_header(response, name, value) != MHD_YES)
        log_debug(EVENT_HTTP_RESPONSE_FAILED, "the response lacks the header %s", name);
}

/* Never called: to a HEAD, no body is sent. */
static ssize_t no_body(void *context, uint64_t position, char *buffer, size_t bytes)
{
    (void)context;
    (void)position;
    (void)buffer;
    (void)bytes;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct MHD_Response *new_response(const struct http_response *response)
{
    struct MHD_Response *mhd;
    if (response->body_bytes > 0 && !response->body)
        mhd = MHD_create_response_from_callback(response->body_bytes, 1024, no_body, NULL, NULL);
    else /* its parameter is not const, and it copies */
        mhd = MHD_create_response_from_buffer(response->body_bytes, (void *)(uintptr_t)response->body,
                                              MHD_RESPMEM_MUST_COPY);
    if (!mhd)
        abort();
    if (response->body_bytes > 0)
        add_header(mhd, "Content-Type", response->content_type ? response->content_type : "application/json");
    add_header(mhd, "Allow", response->allow);
    if (response->close)
        add_header(mhd, "Connection", "close");
    if (response->retry_after_s > 0) {
        cleanup_free char *seconds = xasprintf("%u", response->retry_after_s);
        add_header(mhd, "Retry-After", seconds);
    }
    return mhd;
}

static uint64_t *count_of(struct counts *counts, const struct http_response *response)
{
    bool passed_on = response->passed_on || response->status == 502 || response->status == 504;
    return passed_on                 ? &counts->passed_on
           : response->repeated      ? &counts->repeated
           : response->status < 300  ? &counts->stored
           : response->status == 503 ? &counts->sent_away
                                     : &counts->refused;
}

void http_respond(struct http_request *request, const struct http_response *response)
{
    assert(!request->response && request->state != RESPONDED);
    ++*count_of(&request->client->server->counts, response);
    request->response = new_response(response);
    request->status = response->status;
    request->response_bytes = response->body ? response->body_bytes : 0;
    struct http_server *server = request->client->server;
    server->response_bytes += request->response_bytes;
    if (request->state != WAITING)
        return;
    request->state = RESPONDED;
    request->client->responding = true;
    http_restart_time(request->client);
    MHD_resume_connection(request->connection);
    server->flush_due = true;
    server->wake(server); /* without a listening socket, no event follows */
}

static void respond_error(struct http_request *request, const struct http_response *response,
                          const char *reason)
{
    cleanup_free char *body = xasprintf("{\"error\":\"%s\"}\n", reason);
    struct http_response error = *response;
    error.body = body;
    error.body_bytes = strlen(body);
    http_respond(request, &error);
}

void http_respond_error(struct http_request *request, unsigned status, unsigned retry_after_s,
                        const char *reason)
{
    respond_error(request, &(struct http_response){.status = status, .retry_after_s = retry_after_s}, reason);
}

static enum MHD_Result send_response(struct http_request *request)
{
    request->state = RESPONDED;
    request->client->responding = true;
    enum MHD_Result result = MHD_queue_response(request->connection, request->status, request->response);
    MHD_destroy_response(request->response);
    request->response = NULL;
    return result;
}

/* ---- the request ---- */

static void drop_body(struct http_request *request)
{
    request->client->server->body_bytes -= request->body.bytes;
    buf_done(&request->body);
}

/* The request line was read. */
void *http_on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    struct http_server *server = context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_request *request = xcalloc(1, sizeof *request);
    request->client = info->socket_context;
    request->connection = connection;
    request->line = target;
    request->target = xstrdup(target ? target : "");
    buf_init(&request->body, (size_t)server->config->max_body);
    http_restart_time(request->client);
    return request;
}

void http_on_completed(void *context, struct MHD_Connection *connection, void **ret_request,
                       enum MHD_RequestTerminationCode code)
{
    struct http_server *server = context;
    (void)connection;
    struct http_request *request = *ret_request;
    if (!request)
        return;
    assert(request->state != WAITING);
    if (request->state != RESPONDED && code == MHD_REQUEST_TERMINATED_WITH_ERROR)
        server->counts.refused++; /* by libmicrohttpd itself, or it was late */
    if (request->response)
        MHD_destroy_response(request->response);
    drop_body(request);
    server->response_bytes -= request->response_bytes;
    request->client->responding = false;
    http_restart_time(request->client); /* for the next one */
    free(request->target);
    free(request);
    *ret_request = NULL;
}

/* Whether the header went on in a second line (RFC 9112, section 5.2). Otherwise its value
 * follows its name, where the client put it. */
static bool is_folded(const char *name, size_t name_bytes, const char *value)
{
    uintptr_t start = (uintptr_t)name, at = (uintptr_t)value;
    return value && (at <= start + name_bytes || at - start > HEAD_BYTES);
}

static enum MHD_Result on_header(void *context, enum MHD_ValueKind kind, const char *name, size_t name_bytes,
                                 const char *value, size_t value_bytes)
{
    (void)kind;
    struct framing *framing = context;
    if (is_folded(name, name_bytes, value))
        framing->malformed = true;
    framing_header(framing, name, name_bytes, value ? value : "", value_bytes);
    return MHD_YES;
}

/* Whether the target in the request line is longer than its text. Both pointers are
 * into that line. */
static bool holds_nul(const struct http_request *request, const char *version)
{
    uintptr_t start = (uintptr_t)request->line, end = (uintptr_t)version;
    return request->line && end > start && end - start <= HEAD_BYTES &&
           end - start != strlen(request->target) + 1;
}

static void check_head(struct http_request *request, const char *version)
{
    const struct http_server *server = request->client->server;
    struct framing framing = {0};
    MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, on_header, &framing);
    request->takes_body = strcmp(request->method, "POST") == 0 || strcmp(request->method, "PUT") == 0 ||
                          strcmp(request->method, "PATCH") == 0;
    const char *why = NULL;
    int status = framing_check(&framing, version, request->takes_body, &why);
    if (status == 0 && holds_nul(request, version)) {
        status = 400;
        why = "the target holds a NUL";
    }
    if (status == 0 && !request->takes_body && (framing.chunked || framing.length > 0)) {
        status = 400;
        why = "only POST, PUT and PATCH have a body here";
    }
    request->length = framing.chunked ? UINT64_MAX : framing.length;
    request->expects = http_request_header(request, "Expect") != NULL;
    if (status == 0 && !framing.chunked && framing.length > request->body.limit_bytes)
        http_respond_error(request, 413, 0, "the body is larger than max_body");
    else if (status == 0)
        server->calls->head(server->context, request);
    else {
        respond_error(request, &(struct http_response){.status = (unsigned)status, .close = true}, why);
        request->length = UINT64_MAX; /* whatever follows is not read */
    }
}

static void take_body(struct http_request *request, const char *data, size_t bytes)
{
    struct http_server *server = request->client->server;
    if (request->response)
        return; /* refused: the rest is read so that the client gets the response */
    if (server->body_bytes + bytes > BODIES_BYTES) {
        drop_body(request);
        http_respond_error(request, 503, HTTP_RETRY_AFTER_S,
                           "too much is being sent at once; try again later");
    } else if (buf_append(&request->body, data, bytes) != 0) {
        drop_body(request);
        http_respond_error(request, 413, 0, "the body is larger than max_body");
    } else {
        server->body_bytes += bytes;
    }
}

static enum MHD_Result take_whole(struct http_request *request)
{
    const struct http_server *server = request->client->server;
    if (!request->response)
        server->calls->whole(server->context, request);
    if (request->response)
        return send_response(request);
    request->state = WAITING;
    http_stop_time(request->client);
    MHD_suspend_connection(request->connection);
    return MHD_YES;
}

/* Called with the head; with each piece of the body; at its end, and again when the
 * connection is resumed. */
enum MHD_Result http_on_request(void *context, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *data, size_t *bytes,
                                void **ret_request)
{
    (void)context;
    (void)connection;
    (void)url;
    struct http_request *request = *ret_request;
    switch (request->state) {
    case ARRIVING:
        request->state = BODY;
        request->method = method;
        check_head(request, version);
        if (request->response && (request->expects || request->length > DRAIN_BYTES))
            return send_response(request);
        return MHD_YES;
    case BODY:
        if (*bytes == 0)
            return take_whole(request);
        take_body(request, data, *bytes);
        *bytes = 0;
        return MHD_YES;
    case RESPONDED:
        return send_response(request);
    case WAITING:
        break;
    }
    assert(false);
    return MHD_NO;
}

const char *http_request_method(const struct http_request *request)
{
    return request->method;
}

const char *http_request_target(const struct http_request *request)
{
    return request->target;
}

bool http_request_takes_body(const struct http_request *request)
{
    return request->takes_body;
}

const struct address *http_request_client(const struct http_request *request)
{
    return &request->client->address;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const void *http_request_body(const struct http_request *request, size_t *ret_bytes)
{
    *ret_bytes = request->body.bytes;
    return buf_text(&request->body);
}

size_t http_request_unsent_bytes(const struct http_request *request)
{
    return request->client->server->response_bytes;
}
