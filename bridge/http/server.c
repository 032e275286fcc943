/* http/server.c - see http/server.h.
 *
 * libuv reads and writes; http/listen.c accepts sockets and hands them over. The messages that
 * came in one round of the loop, of all clients, share a commit: after the round, the owner is
 * called.
 */
#include "http/server.h"
#include "base/clock.h"
#include "http/internal.h"
#include "http/listen.h"

#include <stdlib.h>

/* ---- on the loop ---- */

static void on_round(uv_check_t *round)
{
    struct http_server *server = round->data;
    uv_check_stop(round);
    server->calls->round(server->context);
    if (server->listen && server->has_place)
        http_listen_look(server->listen);
    server->has_place = false;
}

/* A client that becomes ready meanwhile has its turn in the next round of the loop. */
static void on_soon(uv_idle_t *soon)
{
    struct http_server *server = soon->data;
    struct client *client;
    size_t count = 0;
    TAILQ_FOREACH(client, &server->ready, ready)
        count++;
    for (; count > 0 && (client = TAILQ_FIRST(&server->ready)) != NULL; count--) {
        TAILQ_REMOVE(&server->ready, client, ready);
        client->is_ready = false;
        client_go_on(client);
    }
    uv_check_start(&server->round, on_round);
    if (TAILQ_EMPTY(&server->ready))
        uv_idle_stop(soon);
}

static void wake(struct http_server *server)
{
    uv_idle_start(&server->soon, on_soon); /* so that the loop does not wait */
    uv_check_start(&server->round, on_round);
}

static bool on_look(void *context)
{
    struct http_server *server = context;
    struct client *client;
    int64_t late_ms = clock_uptime_ms() - server->config->timeout_ms;
    while ((client = TAILQ_FIRST(&server->line)) != NULL && client->since_ms <= late_ms)
        client_end(client);
    bool listens = !server->listen || http_listen_look(server->listen);
    return !listens || !TAILQ_EMPTY(&server->line);
}

/* ---- connections ---- */

static void on_accepted(void *context, int fd, const struct address *address)
{
    client_new(context, fd, address);
}

/* The connection that has waited longest for a whole request, of this client or (NULL) of all. */
static struct client *find_idle(const struct http_server *server, const struct address *address)
{
    struct client *client;
    TAILQ_FOREACH(client, &server->line, line)
        if (client->unsent_bytes == 0 && (!address || address_equal(&client->address, address)))
            return client;
    return NULL;
}

static bool has_idle(void *context)
{
    return find_idle(context, NULL) != NULL;
}

static bool make_room(void *context, const struct address *address)
{
    struct http_server *server = context;
    struct client *client = find_idle(server, address);
    if (client)
        client_drop(client);
    return client != NULL;
}

static void count_clients(void *context, const struct address *address, unsigned *ret_all, unsigned *ret_same)
{
    const struct http_server *server = context;
    const struct client *client;
    *ret_all = server->client_count;
    if (!address)
        return;
    *ret_same = 0;
    LIST_FOREACH(client, &server->clients, list)
        *ret_same += address_equal(&client->address, address);
}

/* ---- life ---- */

struct http_server *http_server_new(uv_loop_t *loop, const struct config_http *config,
                                    const struct http_calls *calls, void *context)
{
    static const struct http_listen_calls listen_calls = {
        .count = count_clients, .make_room = make_room, .has_idle = has_idle, .accepted = on_accepted};
    struct http_server *server = xcalloc(1, sizeof *server);
    server->config = config;
    server->calls = calls;
    server->context = context;
    server->wake = wake;
    LIST_INIT(&server->clients);
    TAILQ_INIT(&server->line);
    TAILQ_INIT(&server->ready);
    uv_idle_init(loop, &server->soon);
    uv_check_init(loop, &server->round);
    server->soon.data = server->round.data = server;
    server->open_handles = 3;
    pace_start(&server->look, loop, on_look, server);
    server->listen = http_listen_new(loop, config, &listen_calls, server);
    return server;
}

void http_server_reconfigure(struct http_server *server, const struct config_http *config)
{
    server->config = config;
    if (server->listen)
        http_listen_reconfigure(server->listen, config);
}

void http_server_describe(const struct http_server *server, struct cJSON *to)
{
    const struct counts *counts = &server->counts;
    http_listen_describe(server->listen, status_add_list(to, STATUS_HTTP_LISTEN));
    status_add_number(to, STATUS_HTTP_CONNECTIONS, server->client_count);
    status_add_number(to, STATUS_HTTP_MAX_CONNECTIONS, server->config->max_connections);
    status_add_number(to, STATUS_HTTP_STORED, (int64_t)counts->stored);
    status_add_number(to, STATUS_HTTP_REPEATED, (int64_t)counts->repeated);
    status_add_number(to, STATUS_HTTP_PASSED_ON, (int64_t)counts->passed_on);
    status_add_number(to, STATUS_HTTP_REFUSED, (int64_t)counts->refused);
    status_add_number(to, STATUS_HTTP_SENT_AWAY, (int64_t)counts->sent_away);
}

void http_server_close(struct http_server *server)
{
    http_listen_free(server->listen);
    server->listen = NULL;
}

static void on_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;
    if (--server->open_handles == 0)
        free(server);
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    http_server_close(server);
    struct client *client;
    while ((client = LIST_FIRST(&server->clients)) != NULL)
        client_drop(client);
    uv_close((uv_handle_t *)&server->look.timer, on_closed);
    uv_close((uv_handle_t *)&server->soon, on_closed);
    uv_close((uv_handle_t *)&server->round, on_closed);
}
