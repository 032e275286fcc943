/* http/request.c - a connection's requests are read one after another.
 *
 *   HEAD ──head──► BODY ──whole──► WAITING ──http_respond──► sent ──► the next HEAD
 *     │              │                                         │
 *     └──refused─────┴── the rest of the request is read, ─────┘ or, when much would have to
 *                        then the response is sent               be read, the connection closes
 *
 * libuv reads. What came before the client ended the connection is used, also before a reset: the
 * kernel still has it. It is not used after a response that could not be sent.
 */
#include "http/request.h"
#include "base/log.h"
#include "http/internal.h"

#include <string.h>
#include <unistd.h>

enum {
    IN_BYTES = HEAD_BYTES + 1 + READ_BYTES, /* the most that is kept of what came */
    BODIES_BYTES = 16 * 1024 * 1024,        /* that are kept at once, over all connections of one [http] */
    DRAIN_BYTES = 64 * 1024,                /* of a refused body are read, so that the connection goes on */
};

/* ---- reading ---- */

static const char *next_data(const struct client *client)
{
    return buf_text(&client->in) + client->used;
}

static size_t next_bytes(const struct client *client)
{
    return client->in.bytes - client->used;
}

/* While a client waits for its turn, no more than the longest head is kept. */
static void on_space(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    (void)wanted;
    struct client *client = handle->data;
    bool body = client->closing || (client->request && client->request->state == BODY);
    size_t most = body ? READ_BYTES : HEAD_BYTES + 1 - client->in.bytes;
    *ret = uv_buf_init(client->server->read, (unsigned)most);
}

/* The whole request must come in time. Empty lines are not the beginning of one. */
static bool begins_request(const struct client *client, const char *data, size_t bytes)
{
    return !client->request && client->unsent_bytes == 0 && client->in.bytes == 0 &&
           head_skip(data, bytes) < bytes;
}

static void on_read(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *data)
{
    struct client *client = stream->data;
    if (bytes < 0) {
        client->ended = true;
        uv_read_stop(stream);
    } else if (client->closing) {
        return;
    } else {
        if (begins_request(client, data->base, (size_t)bytes))
            client_restart_time(client);
        buf_append(&client->in, data->base, (size_t)bytes);
        if (client->in.bytes > HEAD_BYTES)
            uv_read_stop(stream);
    }
    client->server->wake(client->server);
    client_go_on(client);
}

/* Forgets what is used, and reads on if there is space. */
static void make_space(struct client *client)
{
    size_t left = next_bytes(client);
    if (left == 0) {
        buf_done(&client->in);
    } else if (client->used > 0) {
        memmove(client->in.data, next_data(client), left);
        buf_cut(&client->in, left);
    }
    client->used = 0;
    if (!client->ended && client->in.bytes <= HEAD_BYTES && !uv_is_closing((uv_handle_t *)&client->socket))
        uv_read_start((uv_stream_t *)&client->socket, on_space, on_read); /* nothing, if it reads already */
}

/* ---- a request ---- */

static struct http_request *new_request(struct client *client)
{
    struct http_request *request = xcalloc(1, sizeof *request);
    request->client = client;
    request->head.method = request->head.target = "";
    buf_init(&request->body, (size_t)client->server->config->max_body);
    buf_init(&request->response_head, RESPONSE_HEAD_BYTES);
    return request;
}

/* The request is refused. Its response is sent after the rest of the body, or at once. */
static void refuse_rest(struct client *client)
{
    struct http_request *request = client->request;
    if (request->head.expects || request->head.chunked || request->left > DRAIN_BYTES) {
        request->close = true;
        http_request_send(client);
    }
}

/* Refuses a head after which nothing else can be read. */
static void refuse_head(struct client *client, unsigned status, const char *why)
{
    http_respond_error(client->request, status, 0, why);
    client->request->close = true;
    http_request_send(client);
}

static void say_continue(struct client *client)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const uv_buf_t data = uv_buf_init((char *)(uintptr_t)text, sizeof text - 1);
    const struct http_request *request = client->request;
    if (request->head.expects && (request->left > 0 || request->head.chunked) && next_bytes(client) == 0 &&
        uv_try_write((uv_stream_t *)&client->socket, &data, 1) < 0)
        log_debug(EVENT_HTTP_RESPONSE_FAILED, "100 Continue was not sent");
}

static void take_head(struct client *client, size_t bytes)
{
    const struct http_server *server = client->server;
    struct http_request *request = client->request = new_request(client);
    const char *why = NULL;
    request->text = xstrndup(next_data(client), bytes); /* it ends at a NUL, and is then refused */
    client->used += bytes;
    int status = head_read(&request->head, request->text, &why);
    if (status != 0) {
        refuse_head(client, (unsigned)status, why);
        return;
    }
    request->state = BODY;
    request->left = request->head.length;
    if (request->left > request->body.limit_bytes)
        http_respond_error(request, 413, 0, "the body is larger than max_body");
    else
        server->calls->head(server->context, request);
    if (request->responded)
        refuse_rest(client);
    else
        say_continue(client);
}

/* Returns whether there is more to do with what came. */
static bool read_head(struct client *client)
{
    client->used += head_skip(next_data(client), next_bytes(client));
    ssize_t end = head_find_end(next_data(client), next_bytes(client));
    if (end > HEAD_BYTES || (end == 0 && next_bytes(client) > HEAD_BYTES)) {
        client->request = new_request(client);
        refuse_head(client, 431, "the request line and the headers are too long");
    } else if (end < 0) {
        client->request = new_request(client);
        refuse_head(client, 400, "this is not HTTP; only plain HTTP is understood here, not HTTPS");
    } else if (end > 0) {
        take_head(client, (size_t)end);
        return client->request && client->request->state == BODY;
    } else if (client->ended) {
        client_drop(client);
    }
    return false;
}

static void take_piece(struct client *client, const char *data, size_t bytes)
{
    struct http_server *server = client->server;
    struct http_request *request = client->request;
    if (request->responded)
        request->drained += bytes;
    else if (server->body_bytes + bytes > BODIES_BYTES)
        http_respond_error(request, 503, HTTP_RETRY_AFTER_S,
                           "too much is being sent at once; try again later");
    else if (buf_append(&request->body, data, bytes) != 0)
        http_respond_error(request, 413, 0, "the body is larger than max_body");
    else
        server->body_bytes += bytes;
}

/* The response, which is a refusal, is the last one. */
static void send_last(struct client *client)
{
    client->request->close = true;
    http_request_send(client);
}

/* Uses some of what came. Returns whether the body ended. Afterwards there may be no request any more. */
static bool read_body(struct client *client)
{
    struct http_request *request = client->request;
    const char *data = next_data(client);
    size_t bytes = next_bytes(client), piece_bytes = bytes < request->left ? bytes : (size_t)request->left;
    ssize_t used = (ssize_t)piece_bytes;
    if (request->head.chunked)
        used = chunks_read(&request->chunks, data, bytes, &data, &piece_bytes);
    else
        request->left -= piece_bytes;
    if (used >= 0) {
        take_piece(client, data, piece_bytes);
        client->used += (size_t)used;
    } else if (!request->responded) {
        http_respond_error(request, 400, 0, "the body is not in valid chunks");
    }
    /* A length is at most max_body; chunks have no end before it is there. */
    if (used < 0 || (request->head.chunked && request->drained > DRAIN_BYTES)) {
        send_last(client);
        return false;
    }
    return request->head.chunked ? request->chunks.state == CHUNKS_END : request->left == 0;
}

static void take_whole(struct client *client)
{
    const struct http_server *server = client->server;
    struct http_request *request = client->request;
    request->state = WAITING;
    if (request->responded) {
        http_request_send(client);
    } else {
        client_stop_time(client);
        server->calls->whole(server->context, request);
    }
}

/* What came of the body is used, and the rest will not come. */
static void end_in_body(struct client *client)
{
    if (client->request->responded)
        send_last(client);
    else
        client_drop(client);
}

static void read_request(struct client *client)
{
    if (!client->request && client->unsent_bytes == 0 && !read_head(client))
        return;
    while (client->request && client->request->state == BODY) {
        size_t before = client->used;
        if (read_body(client)) {
            take_whole(client);
        } else if (client->request && client->used == before) { /* the rest did not come yet */
            if (client->ended)
                end_in_body(client);
            return;
        }
    }
}

void client_go_on(struct client *client)
{
    if (!client->closing)
        read_request(client);
    else if (client->ended)
        client_drop(client);
    make_space(client);
}

void client_end(struct client *client)
{
    if (client->request && client->request->responded && !client->closing)
        send_last(client);
    else
        client_drop(client);
}

/* ---- the beginning ---- */

void client_new(struct http_server *server, int fd, const struct address *address)
{
    struct client *client = xcalloc(1, sizeof *client);
    *client = (struct client){.server = server, .address = *address};
    buf_init(&client->in, IN_BYTES);
    uv_tcp_init(server->look.timer.loop, &client->socket);
    client->socket.data = client;
    server->open_handles++;
    server->client_count++;
    LIST_INSERT_HEAD(&server->clients, client, list);
    client_restart_time(client);
    int error = uv_tcp_open(&client->socket, fd);
    if (error != 0)
        close(fd);
    else
        error = uv_read_start((uv_stream_t *)&client->socket, on_space, on_read);
    if (error != 0)
        client_drop(client);
    else
        uv_tcp_nodelay(&client->socket, 1);
}

/* ---- what it says ---- */

const char *http_request_method(const struct http_request *request)
{
    return request->head.method;
}

const char *http_request_target(const struct http_request *request)
{
    return request->head.target;
}

bool http_request_takes_body(const struct http_request *request)
{
    return request->head.takes_body;
}

const struct address *http_request_client(const struct http_request *request)
{
    return &request->client->address;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    return head_value(&request->head, name);
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
