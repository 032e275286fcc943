/* http/server.c - see http/server.h.
 *
 * libmicrohttpd reads and writes. It has an epoll descriptor of its own, which we watch on
 * the loop; then MHD_run does what there is to do. It has no threads. http/listen.c accepts
 * sockets and hands them over. libmicrohttpd's own time-out begins again with every byte, so
 * connections have deadlines here: we shut the socket down, libmicrohttpd sees that, and
 * closes the connection.
 *
 * MHD_USE_TURBO: it reads from a new connection at once. So it reads all that a client sent
 * before it was gone; after epoll it would see an error first. Later that happens: what comes
 * together with a reset (EPOLLERR), a second request or the second piece of a first one, is
 * dropped unread. There is no way round: MHD_run polls by itself, connections can be taken out
 * of that only while a request is handled, and by select() it cannot have descriptors above
 * 1023. What precedes a FIN is read.
 */
#include "http/server.h"
#include "base/clock.h"
#include "http/internal.h"
#include "http/listen.h"
#include "net/watch.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum {
    ROUNDS_MOST = 4, /* before others on the loop have their turn */
    LOOK_MS = 1000,
};

static void on_soon(uv_idle_t *soon)
{
    http_server_flush(soon->data);
}

static void wake(struct http_server *server)
{
    uv_idle_start(&server->soon, on_soon);
}

static void end(struct client *client)
{
    http_stop_time(client);
    shutdown(client->fd, SHUT_RDWR);
}

static bool end_late(struct http_server *server)
{
    struct client *client;
    int64_t late_ms = clock_uptime_ms() - server->config->timeout_ms;
    bool any = false;
    while ((client = TAILQ_FIRST(&server->line)) != NULL && client->since_ms <= late_ms) {
        end(client);
        any = true;
    }
    return any;
}

/* ---- on the loop ---- */

static void run(struct http_server *server)
{
    assert(!server->running); /* libmicrohttpd must not be called from its callbacks */
    server->running = true;
    for (int i = 0; i < ROUNDS_MOST && (i == 0 || server->flush_due); i++) {
        server->flush_due = false;
        MHD_run(server->daemon);
        server->calls->round(server->context);
    }
    server->running = false;
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    bool more = server->flush_due || (MHD_get_timeout(server->daemon, &wait_ms) == MHD_YES && wait_ms == 0);
    if (more)
        wake(server);
    else
        uv_idle_stop(&server->soon);
}

void http_server_flush(struct http_server *server)
{
    if (!server->running) /* otherwise it comes to that by itself */
        run(server);
}

static void on_events(void *context, int fd, int status, int events)
{
    (void)fd;
    (void)status;
    (void)events;
    run(context);
}

static void on_look(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    if (end_late(server))
        run(server);
    if (server->listen)
        http_listen_look(server->listen);
}

/* ---- connections ---- */

static void on_connection(void *context, struct MHD_Connection *connection, void **ret_client,
                          enum MHD_ConnectionNotificationCode code)
{
    (void)connection;
    struct http_server *server = context;
    struct client *client = *ret_client;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        client = server->arriving;
        *ret_client = client;
        LIST_INSERT_HEAD(&server->clients, client, list);
        server->client_count++;
        http_restart_time(client);
        server->arriving = NULL;
    } else if (client) {
        *ret_client = NULL;
        http_stop_time(client);
        LIST_REMOVE(client, list);
        free(client);
        if (server->client_count-- >= server->config->max_connections && server->listen)
            http_listen_look(server->listen);
    }
}

static void on_accepted(void *context, int fd, const struct address *address)
{
    struct http_server *server = context;
    struct sockaddr_in6 name = {.sin6_family = AF_INET6};
    memcpy(&name.sin6_addr, address->bytes, sizeof address->bytes);
    struct client *client = xcalloc(1, sizeof *client);
    *client = (struct client){.server = server, .fd = fd, .address = *address};
    server->arriving = client;
    /* It closes the socket when it fails. */
    MHD_add_connection(server->daemon, fd, (const struct sockaddr *)&name, sizeof name);
    if (server->arriving) {
        free(client);
        server->arriving = NULL;
    }
    wake(server);
}

/* The connection that has waited longest for a whole request, of this client or (NULL) of all. */
static struct client *find_idle(const struct http_server *server, const struct address *address)
{
    struct client *client;
    TAILQ_FOREACH(client, &server->line, line)
        if (!client->responding && (!address || address_equal(&client->address, address)))
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
    if (!client)
        return false;
    end(client);
    run(server); /* libmicrohttpd closes it */
    return true;
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

static struct MHD_Daemon *start_daemon(struct http_server *server)
{
    /* MHD_USE_NO_THREAD_SAFETY of libmicrohttpd 1.0, which older headers do not have. Without it, that
     * version adds a connection in a later MHD_run, and on_connection finds no client. Older versions
     * ignore it. */
    const unsigned no_thread_safety = 1u << 19;
    struct MHD_Daemon *daemon = MHD_start_daemon(
        no_thread_safety | MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_TURBO | MHD_USE_SUPPRESS_DATE_NO_CLOCK,
        0, NULL, NULL, http_on_request, server, MHD_OPTION_URI_LOG_CALLBACK, http_on_target, server,
        MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        server, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_BYTES, MHD_OPTION_CONNECTION_LIMIT, 20000u,
        MHD_OPTION_END);
    if (!daemon)
        abort(); /* no memory, or no descriptors at the start */
    return daemon;
}

struct http_server *http_server_new(uv_loop_t *loop, const struct config_http *config,
                                    const struct http_calls *calls, void *context)
{
    static const struct http_listen_calls listen_calls = {
        .count = count_clients, .make_room = make_room, .has_idle = has_idle, .accepted = on_accepted};
    struct http_server *server = xcalloc(1, sizeof *server);
    server->config = config;
    server->calls = calls;
    server->wake = wake;
    server->context = context;
    LIST_INIT(&server->clients);
    TAILQ_INIT(&server->line);
    server->daemon = start_daemon(server);
    server->watches = watch_set_new(loop, on_events, server);
    int fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    if (watch_keep(server->watches, fd) != 0 || watch_want(server->watches, fd, UV_READABLE) != 0)
        abort();
    uv_timer_init(loop, &server->look);
    uv_idle_init(loop, &server->soon);
    server->look.data = server->soon.data = server;
    server->open_handles = 2;
    uv_timer_start(&server->look, on_look, LOOK_MS, LOOK_MS);
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
    watch_set_free(server->watches);
    MHD_stop_daemon(server->daemon);
    assert(LIST_EMPTY(&server->clients));
    uv_close((uv_handle_t *)&server->look, on_closed);
    uv_close((uv_handle_t *)&server->soon, on_closed);
}
