/* http/client.c - a connection: its time-out, and its end.
 *
 * The last response of a connection would be lost if data of the client came after the
 * close: the kernel responds to that with a reset. So we send our end, drop what comes, and
 * close when the client has ended as well, or is late (RFC 9112, section 9.6).
 */
#include "base/clock.h"
#include "http/internal.h"

#include <assert.h>
#include <stdlib.h>

/* ---- when ---- */

void client_stop_time(struct client *client)
{
    if (client->in_line)
        TAILQ_REMOVE(&client->server->line, client, line);
    client->in_line = false;
}

void client_restart_time(struct client *client)
{
    client_stop_time(client);
    client->since_ms = clock_uptime_ms();
    TAILQ_INSERT_TAIL(&client->server->line, client, line);
    client->in_line = true;
    pace_hurry(&client->server->look);
}

void client_wake(struct client *client)
{
    struct http_server *server = client->server;
    if (!client->is_ready)
        TAILQ_INSERT_TAIL(&server->ready, client, ready);
    client->is_ready = true;
    server->wake(server);
}

/* ---- its request ---- */

void http_request_drop_body(struct http_request *request)
{
    request->client->server->body_bytes -= request->body.bytes;
    buf_done(&request->body);
}

void http_request_free(struct http_request *request)
{
    if (!request)
        return;
    http_request_drop_body(request);
    request->client->server->response_bytes -= request->response_bytes;
    buf_done(&request->response_head);
    free(request->response_body);
    free(request->text);
    free(request);
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    struct http_server *server = client->server;
    buf_done(&client->in);
    free(client);
    if (--server->open_handles == 0)
        free(server);
}

void client_drop(struct client *client)
{
    struct http_server *server = client->server;
    struct http_request *request = client->request;
    if (uv_is_closing((const uv_handle_t *)&client->socket))
        return;
    assert(!request || request->state != WAITING || request->responded);
    bool unfinished = request ? !request->responded : client->in.bytes > 0 && client->unsent_bytes == 0;
    if (unfinished && !client->closing)
        server->counts.refused++;
    client->closing = true;
    http_request_free(request);
    client->request = NULL;
    client_stop_time(client);
    if (client->is_ready)
        TAILQ_REMOVE(&server->ready, client, ready);
    client->is_ready = false;
    LIST_REMOVE(client, list);
    uv_close((uv_handle_t *)&client->socket, on_closed);
    if (server->client_count-- >= server->config->max_connections) {
        server->has_place = true;
        server->wake(server);
    }
}

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    struct client *client = shutdown->data;
    if (status != 0)
        client_drop(client);
}

void client_close(struct client *client)
{
    client->closing = true;
    buf_done(&client->in);
    client->used = 0;
    client->shutdown.data = client;
    if (client->ended || uv_shutdown(&client->shutdown, (uv_stream_t *)&client->socket, on_shutdown) != 0)
        client_drop(client);
    else
        client_wake(client); /* it may have stopped reading */
}
