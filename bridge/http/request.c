/* http/request.c - a connection's requests are read one after another.
 *
 *   HEAD ──head──► BODY ──whole──► WAITING ──http_respond──► sent ──► the next HEAD
 *     │              │                                         │
 *     └──refused─────┴── the rest of the request is read, ─────┘ or, when much would have to
 *                        then the response is sent               be read, the connection closes
 *
 * libuv reads. What came before the client ended the connection is used, also before a reset: the
 * kernel still has it.
 */
#include "http/request.h"
#include "base/log.h"
#include "http/internal.h"

#include <string.h>
#include <unistd.h>

enum {
    IN_BYTES = HEAD_BYTES + 2 * READ_BYTES, /* of a client whose turn has not come: no more is read */
    BODIES_BYTES = 16 * 1024 * 1024,        /* that are kept at once, over all connections of one [http] */
    DRAIN_BYTES =
        64 * 1024, /* of a body that was refused by its head are read, so that the connection goes on */
};

/* ---- reading ---- */

static void on_space(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    (void)wanted;
    struct client *client = handle->data;
    *ret = uv_buf_init(client->server->read, sizeof client->server->read);
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
        if (!client->request && client->in.bytes == 0 && bytes > 0)
            client_restart_time(client); /* of a request, the whole of which must come in time */
        buf_append(&client->in, data->base, (size_t)bytes);
        if (client->in.bytes > IN_BYTES - READ_BYTES)
            uv_read_stop(stream);
    }
    client->server->wake(client->server);
    client_go_on(client);
}

/* The first bytes of what came are used. */
static void use(struct client *client, size_t bytes)
{
    size_t left = client->in.bytes - bytes;
    if (left == 0) {
        buf_done(&client->in);
    } else {
        memmove(client->in.data, client->in.data + bytes, left);
        buf_cut(&client->in, left);
    }
    if (!client->ended && client->in.bytes <= IN_BYTES - READ_BYTES)
        uv_read_start((uv_stream_t *)&client->socket, on_space,
                      on_read); /* does nothing if it reads already */
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
    client->request->close = true;
    http_respond_error(client->request, status, 0, why);
    http_request_send(client);
}

static void say_continue(struct client *client)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const uv_buf_t data = uv_buf_init((char *)(uintptr_t)text, sizeof text - 1);
    if (client->request->head.expects && client->in.bytes == 0 &&
        uv_try_write((uv_stream_t *)&client->socket, &data, 1) < 0)
        log_debug(EVENT_HTTP_RESPONSE_FAILED, "100 Continue was not sent");
}

static void take_head(struct client *client, size_t bytes)
{
    const struct http_server *server = client->server;
    struct http_request *request = client->request = new_request(client);
    const char *why = NULL;
    request->text = xstrndup(client->in.data, bytes); /* it ends at a NUL, and is then refused */
    use(client, bytes);
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
    use(client, head_skip(buf_text(&client->in), client->in.bytes));
    ssize_t end = head_find_end(buf_text(&client->in), client->in.bytes);
    if (end > HEAD_BYTES || (end == 0 && client->in.bytes > HEAD_BYTES)) {
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
        return; /* it is refused, and the rest is only read */
    if (server->body_bytes + bytes > BODIES_BYTES)
        http_respond_error(request, 503, HTTP_RETRY_AFTER_S,
                           "too much is being sent at once; try again later");
    else if (buf_append(&request->body, data, bytes) != 0)
        http_respond_error(request, 413, 0, "the body is larger than max_body");
    else
        server->body_bytes += bytes;
}

/* Uses some of what came. Returns whether the body ended; if it is not valid, there is no
 * request any more. */
static bool read_body(struct client *client)
{
    struct http_request *request = client->request;
    const char *data = buf_text(&client->in);
    size_t piece_bytes = client->in.bytes < request->left ? client->in.bytes : (size_t)request->left;
    ssize_t used = (ssize_t)piece_bytes;
    if (request->head.chunked)
        used = chunks_read(&request->chunks, data, client->in.bytes, &data, &piece_bytes);
    else
        request->left -= piece_bytes;
    if (used < 0) {
        if (!request->responded)
            http_respond_error(request, 400, 0, "the body is not in valid chunks");
        request->close = true;
        http_request_send(client);
        return false;
    }
    take_piece(client, data, piece_bytes);
    use(client, (size_t)used);
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

void client_go_on(struct client *client)
{
    if (client->closing) {
        if (client->ended)
            client_drop(client);
        return;
    }
    if (!client->request && client->unsent_bytes == 0 && !read_head(client))
        return;
    while (client->request && client->request->state == BODY) {
        size_t before = client->in.bytes;
        if (read_body(client)) {
            take_whole(client);
            return;
        }
        if (client->request && client->in.bytes == before) { /* the rest did not come yet */
            if (client->ended)
                client_drop(client);
            return;
        }
    }
}

/* ---- the beginning ---- */

void client_new(struct http_server *server, int fd, const struct address *address)
{
    struct client *client = xcalloc(1, sizeof *client);
    *client = (struct client){.server = server, .address = *address};
    buf_init(&client->in, IN_BYTES);
    uv_tcp_init(server->look.loop, &client->socket);
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
