/* http/response.c - the response to a request: its text, and how it is sent. */
#include "base/log.h"
#include "http/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is sent ---- */

/* The names of RFC 9110, section 15: simple clients look for "200 OK". Others have none, which is
 * allowed (RFC 9112, section 4). */
static const char *reason_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *name;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].name;
    return "";
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

/* All but the last header, Connection. There is no Date: the clock of a Pi may be wrong
 * (RFC 9110, section 6.6.1). */
static void write_head(struct buf *head, const struct http_response *response, bool is_head)
{
    buf_printf(head, "HTTP/1.1 %u %s\r\n", response->status, reason_of(response->status));
    bool unknown = is_head && response->body_bytes == 0; /* RFC 9110, section 8.6 */
    if (response->status != 204 && response->status != 304 && !unknown)
        buf_printf(head, "Content-Length: %zu\r\n", response->body_bytes);
    const char *type = response->content_type ? response->content_type : "application/json";
    if (strlen(type) > CONTENT_TYPE_BYTES)
        log_debug(EVENT_HTTP_RESPONSE_FAILED,
                  "the response lacks the header Content-Type, which is too long");
    else if (response->body_bytes > 0 && *type)
        buf_printf(head, "Content-Type: %s\r\n", type);
    if (response->allow)
        buf_printf(head, "Allow: %s\r\n", response->allow);
    if (response->retry_after_s > 0)
        buf_printf(head, "Retry-After: %u\r\n", response->retry_after_s);
}

/* ---- sending ---- */

/* What could not be sent at once. */
struct rest {
    uv_write_t write;
    struct client *client;
    struct buf head;
    char *body;
    size_t body_bytes;
    bool close;
};

static void on_sent(struct client *client, bool close)
{
    client->unsent_bytes = 0;
    if (uv_is_closing((const uv_handle_t *)&client->socket))
        return;
    client_restart_time(client); /* for the next request */
    if (close)
        client_close(client);
    else
        client_wake(client);
}

static void on_written(uv_write_t *write, int status)
{
    struct rest *rest = write->data;
    rest->client->server->response_bytes -= rest->body_bytes;
    on_sent(rest->client, rest->close || status != 0);
    buf_done(&rest->head);
    free(rest->body);
    free(rest);
}

/* Takes over the request's response. */
static void write_rest(struct client *client, struct http_request *request, size_t sent)
{
    struct rest *rest = xcalloc(1, sizeof *rest);
    *rest = (struct rest){.write = {.data = rest},
                          .client = client,
                          .head = request->response_head,
                          .body = request->response_body,
                          .body_bytes = request->response_bytes,
                          .close = request->close};
    request->response_body = NULL;
    request->response_bytes = 0;
    buf_init(&request->response_head, 0);
    size_t of_head = sent < rest->head.bytes ? sent : rest->head.bytes;
    uv_buf_t data[2] = {uv_buf_init(rest->head.data + of_head, (unsigned)(rest->head.bytes - of_head)),
                        uv_buf_init(rest->body ? rest->body + (sent - of_head) : NULL,
                                    (unsigned)(rest->body_bytes - (sent - of_head)))};
    client->unsent_bytes = data[0].len + data[1].len;
    if (uv_write(&rest->write, (uv_stream_t *)&client->socket, data, 2, on_written) != 0)
        on_written(&rest->write, -EPIPE);
}

void http_request_send(struct client *client)
{
    struct http_request *request = client->request;
    bool close = request->close;
    buf_append_text(&request->response_head,
                    close ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n");
    assert(!buf_overflowed(&request->response_head));
    size_t body_bytes = request->response_body ? request->response_bytes : 0;
    const uv_buf_t data[2] = {
        uv_buf_init(request->response_head.data, (unsigned)request->response_head.bytes),
        uv_buf_init(request->response_body, (unsigned)body_bytes)};
    client->server->wake(client->server);
    client_restart_time(client);
    int sent = uv_try_write((uv_stream_t *)&client->socket, data, 2);
    client->request = NULL;
    if (sent == UV_EAGAIN || (sent >= 0 && (size_t)sent < data[0].len + data[1].len))
        write_rest(client, request, sent > 0 ? (size_t)sent : 0);
    else
        on_sent(client, close || sent < 0); /* all is sent; or the client is gone */
    http_request_free(request);
}

/* ---- the response ---- */

void http_respond(struct http_request *request, const struct http_response *response)
{
    assert(!request->responded);
    struct http_server *server = request->client->server;
    bool is_head = strcmp(request->head.method, "HEAD") == 0;
    bool bodyless = is_head || response->status == 204 || response->status == 304;
    ++*count_of(&server->counts, response);
    request->responded = true;
    request->close = request->close || !request->head.keep_alive;
    write_head(&request->response_head, response, is_head);
    if (response->body && response->body_bytes > 0 && !bodyless) {
        request->response_body = xrealloc(NULL, response->body_bytes);
        memcpy(request->response_body, response->body, response->body_bytes);
        request->response_bytes = response->body_bytes;
        server->response_bytes += request->response_bytes;
    }
    http_request_drop_body(request);
    if (request->state == WAITING)
        http_request_send(request->client);
}

void http_respond_error(struct http_request *request, unsigned status, unsigned retry_after_s,
                        const char *reason)
{
    cleanup_free char *body = xasprintf("{\"error\":\"%s\"}\n", reason);
    http_respond(request, &(struct http_response){.status = status,
                                                  .retry_after_s = retry_after_s,
                                                  .body = body,
                                                  .body_bytes = strlen(body)});
}
