/* http/listen.c - see http/listen.h.
 *
 * A client is checked here, before anything is spent on it: one whose address is not
 * allowed is closed at once. When there are as many connections as there may be, of one
 * client or of all, a new one takes the place of that which has waited longest for a whole
 * request. Otherwise connections on which nothing comes would hold all places until their
 * time-outs, and who has something to send would wait behind them. When each connection has a
 * request that is being dealt with, the new one of the same client is closed, and other
 * clients wait in the kernel, with what they sent.
 *
 * The kernel hands a connection over when its first bytes are there (TCP_DEFER_ACCEPT), or
 * after a second of silence. So they are read at once, and what was sent in one go is read
 * whole, even if the client has reset the connection since (http/server.c).
 */
#include "http/listen.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/throttle.h"
#include "net/watch.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 512,
    DEFER_S = 1,
    ACCEPT_MOST = 128, /* in one go */
    REPORT_EVERY_MS = 60 * 1000,
    REPORT_ADDRESS_EVERY_MS = 600 * 1000, /* that cannot be listened on */
};

struct socket {
    const struct config_listen *config;
    int fd;    /* -1: not open yet, */
    int error; /* for this reason, -Exxx */
    struct throttle reports;
};

struct http_listen {
    const struct config_http *config;
    const struct http_listen_calls *calls;
    void *context;
    struct watch_set *watches;
    struct socket *sockets;
    size_t socket_count;
    struct throttle refusals, failures;
    bool full_logged;
};

/* ---- clients ---- */

static void log_refusal(struct http_listen *listen, const struct address *client, const char *why)
{
    uint64_t times = throttle_due(&listen->refusals, 1, clock_uptime_ms(), REPORT_EVERY_MS);
    if (times == 0)
        return;
    char text[ADDRESS_TEXT_BYTES];
    address_format(client, text);
    log_warning(EVENT_HTTP_CLIENT_REFUSED, "%s: %s (%llu clients since the last line)", text, why,
                (unsigned long long)times);
}

static bool is_allowed(const struct config_http *config, const struct address *client)
{
    for (size_t i = 0; i < config->allow.count; i++)
        if (address_in_range(client, &config->allow.items[i]))
            return true;
    return config->allow.count == 0;
}

static struct address address_of(const struct sockaddr_storage *from)
{
    struct address address = {.bytes = {[10] = 0xff, [11] = 0xff}};
    if (from->ss_family == AF_INET)
        memcpy(address.bytes + 12, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    else
        memcpy(address.bytes, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
    return address;
}

/* Whether there are as many connections as there may be. */
static bool check_full(struct http_listen *listen)
{
    unsigned all;
    listen->calls->count(listen->context, NULL, &all, NULL);
    bool full = all >= listen->config->max_connections;
    if (full && !listen->full_logged)
        log_warning(EVENT_HTTP_CONNECTIONS_FULL,
                    "%u connections; a further one takes the place of the one that has been idle for the "
                    "longest time, or waits",
                    all);
    if (full)
        listen->full_logged = true;
    else if (all < listen->config->max_connections / 2)
        listen->full_logged = false;
    return full;
}

/* Whether a client may connect; makes room for it where that is necessary. */
static bool find_room(struct http_listen *listen, const struct address *client)
{
    unsigned all, same;
    if (!is_allowed(listen->config, client)) {
        log_refusal(listen, client, "it is in none of the ranges of allow");
        return false;
    }
    listen->calls->count(listen->context, client, &all, &same);
    if (same >= listen->config->max_connections_per_client) {
        bool room = listen->calls->make_room(listen->context, client);
        log_refusal(listen, client,
                    room ? "it has max_connections_per_client connections: one that was idle is closed"
                         : "it has max_connections_per_client connections already");
        return room;
    }
    return all < listen->config->max_connections || listen->calls->make_room(listen->context, NULL);
}

static void admit(struct http_listen *listen, int fd, const struct sockaddr_storage *from)
{
    struct address client = address_of(from);
    if (find_room(listen, &client))
        listen->calls->accepted(listen->context, fd, &client);
    else
        close(fd);
}

static void pause_all(struct http_listen *listen)
{
    for (size_t i = 0; i < listen->socket_count; i++)
        if (listen->sockets[i].fd >= 0)
            watch_want(listen->watches, listen->sockets[i].fd, 0);
}

static void accept_failed(struct http_listen *listen, int error)
{
    uint64_t times = throttle_due(&listen->failures, 1, clock_uptime_ms(), REPORT_EVERY_MS);
    if (times > 0)
        log_error(EVENT_HTTP_ACCEPT_FAILED, "%s; trying again every second (%llu times since the last line)",
                  strerror(error), (unsigned long long)times);
    pause_all(listen);
}

static void on_client(void *context, int fd, int status, int events)
{
    (void)status;
    (void)events;
    struct http_listen *listen = context;
    for (int i = 0; i < ACCEPT_MOST; i++) {
        if (check_full(listen) && !listen->calls->has_idle(listen->context)) {
            pause_all(listen);
            return;
        }
        struct sockaddr_storage from;
        socklen_t bytes = sizeof from;
        int client = accept4(fd, (struct sockaddr *)&from, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) {
            admit(listen, client, &from);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            accept_failed(listen, errno);
            return;
        } else if (errno == EAGAIN) {
            return;
        } /* otherwise it is gone already */
    }
}

/* ---- sockets ---- */

static int bind_socket(const struct config_listen *config)
{
    bool ipv4 = address_is_ipv4(&config->address);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(config->port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(config->port)};
    memcpy(&in.sin_addr, config->address.bytes + 12, 4);
    memcpy(&in6.sin6_addr, config->address.bytes, 16);
    const struct sockaddr *name = ipv4 ? (const struct sockaddr *)&in : (const struct sockaddr *)&in6;
    int fd = socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1, defer_s = DEFER_S;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_s, sizeof defer_s);
    if (!ipv4) /* [::] beside 0.0.0.0 */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, name, ipv4 ? sizeof in : sizeof in6) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

static void open_socket(struct http_listen *listen, struct socket *socket)
{
    int fd = bind_socket(socket->config);
    int error = fd < 0 ? fd : watch_keep(listen->watches, fd);
    if (error >= 0) {
        socket->fd = fd;
        socket->error = 0;
        log_notice(EVENT_HTTP_LISTENING, "%s", socket->config->text);
        return;
    }
    if (fd >= 0)
        close(fd);
    socket->error = error;
    if (throttle_due(&socket->reports, 1, clock_uptime_ms(), REPORT_ADDRESS_EVERY_MS) > 0)
        log_error(EVENT_HTTP_LISTEN_FAILED, "%s: %s; trying again every second", socket->config->text,
                  strerror(-error));
}

static void close_socket(struct http_listen *listen, const struct socket *socket)
{
    if (socket->fd < 0)
        return;
    watch_forget(listen->watches, socket->fd);
    close(socket->fd);
}

bool http_listen_look(struct http_listen *listen)
{
    bool all = true;
    bool full = check_full(listen) && !listen->calls->has_idle(listen->context);
    for (size_t i = 0; i < listen->socket_count; i++) {
        struct socket *socket = &listen->sockets[i];
        if (socket->fd < 0)
            open_socket(listen, socket);
        if (socket->fd >= 0 && !full)
            watch_want(listen->watches, socket->fd, UV_READABLE);
        all = all && socket->fd >= 0;
    }
    return all && !full;
}

void http_listen_describe(const struct http_listen *listen, struct cJSON *array)
{
    for (size_t i = 0; listen && i < listen->socket_count; i++) {
        const struct socket *socket = &listen->sockets[i];
        struct cJSON *to = status_append(array);
        status_add_text(to, STATUS_LISTEN_ADDRESS, socket->config->text);
        status_add_bool(to, STATUS_LISTEN_LISTENING, socket->fd >= 0);
        status_add_text(to, STATUS_LISTEN_WHY, socket->fd >= 0 ? NULL : strerror(-socket->error));
    }
}

static bool is_same(const struct config_listen *a, const struct config_listen *b)
{
    return a->port == b->port && address_equal(&a->address, &b->address);
}

/* Old sockets close before new ones open: 0.0.0.0 may follow 127.0.0.1. */
void http_listen_reconfigure(struct http_listen *listen, const struct config_http *config)
{
    struct socket *old = listen->sockets;
    size_t old_count = listen->socket_count;
    listen->config = config;
    listen->socket_count = config->listens.count;
    listen->sockets = xcalloc(config->listens.count, sizeof *listen->sockets);
    for (size_t i = 0; i < config->listens.count; i++) {
        listen->sockets[i] = (struct socket){.config = &config->listens.items[i], .fd = -1};
        for (size_t k = 0; k < old_count; k++) {
            if (is_same(old[k].config, &config->listens.items[i])) {
                listen->sockets[i].fd = old[k].fd;
                old[k].fd = -1;
            }
        }
    }
    for (size_t k = 0; k < old_count; k++)
        close_socket(listen, &old[k]);
    free(old);
    http_listen_look(listen);
}

struct http_listen *http_listen_new(uv_loop_t *loop, const struct config_http *config,
                                    const struct http_listen_calls *calls, void *context)
{
    struct http_listen *listen = xcalloc(1, sizeof *listen);
    listen->calls = calls;
    listen->context = context;
    listen->watches = watch_set_new(loop, on_client, listen);
    http_listen_reconfigure(listen, config);
    return listen;
}

void http_listen_free(struct http_listen *listen)
{
    if (!listen)
        return;
    for (size_t i = 0; i < listen->socket_count; i++)
        close_socket(listen, &listen->sockets[i]);
    watch_set_free(listen->watches);
    free(listen->sockets);
    free(listen);
}
