/* http/server.c - HTTP requests that come, and their answers. See http/server.h.
 *
 * libmicrohttpd (0.9.75) reads and writes; it has an epoll descriptor of its own, which
 * is watched here, and then MHD_run does what there is to do. It has no threads. Sockets
 * are accepted by http/listen.c and given to it.
 *
 * It accepts more than it should: two Content-Lengths; Content-Length beside
 * Transfer-Encoding; "Content-Length : 4", as a header of another name; any word that
 * is not "chunked", and then reads until the connection ends; POST without a length; and
 * what goes on in a second line it puts behind the header's name, of which it makes a copy.
 * All of that shows in the list of headers (framing_check), before it reads a body.
 * Only a malformed Content-Length it refuses before anybody sees the head, and its answer
 * (400, or 413) starts twice, so its body is no use; also one that a blank follows.
 * The URL that it gives is decoded; the raw target comes by its callback for logs. That
 * one is cut at a NUL, which shows by where the version begins, behind the target in the
 * same line. Its time-out begins again with every byte: so connections have deadlines
 * here. A connection is ended by shutting its socket down; libmicrohttpd sees that,
 * and closes it.
 *
 * MHD_USE_TURBO: it reads from a new connection at once. A client that sent everything
 * and was gone by then is read to its end; by way of epoll it would be an error first.
 * Later on it is: what comes together with a reset (EPOLLERR) is dropped unread, a
 * second request or the second piece of a first one. There is no way round: MHD_run
 * polls by itself, connections can be taken out of that only while a request is handled,
 * and by select() it cannot have descriptors above 1023. What precedes a FIN is read.
 */
#include "http/server.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/listen.h"
#include "http/response.h"
#include "net/watch.h"
#include "request/target.h"

#include <assert.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HEAD_BYTES = 16 * 1024,          /* libmicrohttpd's memory for a connection: a longer head gets 431 */
    BODIES_BYTES = 16 * 1024 * 1024, /* that are kept at once, over all connections of one [http] */
    DRAIN_BYTES = 64 * 1024,         /* a refused body is read for the sake of the answer */
    ROUNDS_MOST = 4,                 /* before others have their turn */
    LOOK_MS = 1000,
    RETRY_AFTER_S = 10,
};

enum state { ARRIVING, BODY, WAITING, ANSWERED };

/* A connection. */
struct client {
    struct httpd *httpd;
    int fd;
    struct address address;
    int64_t since_ms; /* its time-out began */
    bool in_line;
    TAILQ_ENTRY(client) line; /* those whose time runs, the oldest first */
    LIST_ENTRY(client) list;
};

struct httpd_request {
    struct client *client;
    struct MHD_Connection *connection;
    enum state state;
    const char *line; /* libmicrohttpd's own copy of the target */
    char *target;
    const char *method;
    struct buf body;
    bool expects; /* it waits for a word before it sends its body */
    uint64_t length;
    struct MHD_Response *response; /* not NULL: it is answered */
    unsigned status;
    size_t answer_bytes;
};

/* Requests, by what they were answered. */
struct counts {
    uint64_t stored, repeated, passed_on, refused, sent_away;
};

TAILQ_HEAD(client_line, client);
LIST_HEAD(client_list, client);

struct httpd {
    const struct config_http *config;
    const struct httpd_calls *calls;
    void *context;
    struct MHD_Daemon *daemon;
    struct httpd_listen *listen;
    struct watch_set *watches;
    uv_timer_t look;
    uv_idle_t soon; /* there is more to do, and no event will tell */
    int open_handles;
    struct client *arriving; /* while it is given to libmicrohttpd */
    struct client_list clients;
    struct client_line line;
    unsigned client_count;
    size_t body_bytes;   /* of requests that are kept */
    size_t answer_bytes; /* that are not out yet */
    struct counts counts;
    bool flush_due;
    bool running;
};

static void on_soon(uv_idle_t *soon)
{
    httpd_flush(soon->data);
}

/* ---- time-outs ---- */

static void leave_line(struct client *client)
{
    if (client->in_line)
        TAILQ_REMOVE(&client->httpd->line, client, line);
    client->in_line = false;
}

static void restart_time(struct client *client)
{
    leave_line(client);
    client->since_ms = clock_uptime_ms();
    TAILQ_INSERT_TAIL(&client->httpd->line, client, line);
    client->in_line = true;
}

static bool end_late(struct httpd *httpd)
{
    struct client *client;
    int64_t late_ms = clock_uptime_ms() - httpd->config->timeout_ms;
    bool any = false;
    while ((client = TAILQ_FIRST(&httpd->line)) != NULL && client->since_ms <= late_ms) {
        leave_line(client);
        shutdown(client->fd, SHUT_RDWR);
        any = true;
    }
    return any;
}

/* ---- answers ---- */

size_t httpd_unsent_bytes(const struct httpd_request *request)
{
    return request->client->httpd->answer_bytes;
}

static uint64_t *count_of(struct counts *counts, const struct httpd_answer *answer)
{
    return answer->passed_on       ? &counts->passed_on
           : answer->repeated      ? &counts->repeated
           : answer->status < 300  ? &counts->stored
           : answer->status == 503 ? &counts->sent_away
                                   : &counts->refused;
}

void httpd_answer(struct httpd_request *request, const struct httpd_answer *answer)
{
    assert(!request->response && request->state != ANSWERED);
    ++*count_of(&request->client->httpd->counts, answer);
    request->response = httpd_response_new(answer);
    request->status = answer->status;
    request->answer_bytes = answer->body ? answer->body_bytes : 0;
    struct httpd *httpd = request->client->httpd;
    httpd->answer_bytes += request->answer_bytes;
    if (request->state != WAITING)
        return;
    request->state = ANSWERED;
    restart_time(request->client);
    MHD_resume_connection(request->connection);
    httpd->flush_due = true;
    uv_idle_start(&httpd->soon, on_soon); /* without a listening socket, no event tells of it */
}

static void refuse(struct httpd_request *request, unsigned status, const char *words, bool close)
{
    cleanup_free char *body = xasprintf("{\"error\":\"%s\"}\n", words);
    httpd_answer(request, &(struct httpd_answer){.status = status,
                                                 .body = body,
                                                 .body_bytes = strlen(body),
                                                 .retry_after_s = status == 503 ? RETRY_AFTER_S : 0,
                                                 .close = close});
}

void httpd_refuse(struct httpd_request *request, unsigned status, const char *words)
{
    refuse(request, status, words, false);
}

static enum MHD_Result send_answer(struct httpd_request *request)
{
    request->state = ANSWERED;
    enum MHD_Result result = MHD_queue_response(request->connection, request->status, request->response);
    MHD_destroy_response(request->response);
    request->response = NULL;
    return result;
}

/* ---- a request ---- */

static void drop_body(struct httpd_request *request)
{
    request->client->httpd->body_bytes -= request->body.bytes;
    buf_done(&request->body);
}

/* The request line was read. */
static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    struct httpd *httpd = context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct httpd_request *request = xcalloc(1, sizeof *request);
    request->client = info->socket_context;
    request->connection = connection;
    request->line = target;
    request->target = xstrdup(target ? target : "");
    buf_init(&request->body, (size_t)httpd->config->max_body);
    restart_time(request->client);
    return request;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **ret_request,
                         enum MHD_RequestTerminationCode code)
{
    struct httpd *httpd = context;
    (void)connection;
    struct httpd_request *request = *ret_request;
    if (!request)
        return;
    assert(request->state != WAITING);
    if (request->state != ANSWERED && code == MHD_REQUEST_TERMINATED_WITH_ERROR)
        httpd->counts.refused++; /* by libmicrohttpd itself, or it was late */
    if (request->response)
        MHD_destroy_response(request->response);
    drop_body(request);
    httpd->answer_bytes -= request->answer_bytes;
    restart_time(request->client); /* for the next one */
    free(request->target);
    free(request);
    *ret_request = NULL;
}

/* Whether the header went on in a second line (RFC 9112, section 5.2). Otherwise its value
 * stands behind its name, where the client put it. */
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
static bool holds_nul(const struct httpd_request *request, const char *version)
{
    uintptr_t start = (uintptr_t)request->line, end = (uintptr_t)version;
    return request->line && end > start && end - start <= HEAD_BYTES &&
           end - start != strlen(request->target) + 1;
}

static void check_head(struct httpd_request *request, const char *version)
{
    const struct httpd *httpd = request->client->httpd;
    struct framing framing = {0};
    MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, on_header, &framing);
    bool wants_body = strcmp(request->method, "POST") == 0 || strcmp(request->method, "PUT") == 0 ||
                      strcmp(request->method, "PATCH") == 0;
    const char *why = NULL;
    int status = framing_check(&framing, version, wants_body, &why);
    if (status == 0 && holds_nul(request, version)) {
        status = 400;
        why = "the target holds a NUL";
    }
    if (status == 0 && !wants_body && (framing.chunked || framing.length > 0)) {
        status = 400;
        why = "only POST, PUT and PATCH have a body here";
    }
    request->length = framing.chunked ? UINT64_MAX : framing.length;
    request->expects = httpd_header(request, "Expect") != NULL;
    if (status == 0 && !framing.chunked && framing.length > request->body.limit_bytes)
        httpd_refuse(request, 413, "the body is larger than max_body");
    else if (status == 0)
        httpd->calls->head(httpd->context, request);
    else {
        refuse(request, (unsigned)status, why, true);
        request->length = UINT64_MAX; /* whatever follows is not read */
    }
}

static void take_body(struct httpd_request *request, const char *data, size_t bytes)
{
    struct httpd *httpd = request->client->httpd;
    if (request->response)
        return; /* refused: this is read for the sake of the answer */
    if (httpd->body_bytes + bytes > BODIES_BYTES) {
        drop_body(request);
        httpd_refuse(request, 503, "too much is being sent at once; try again later");
    } else if (buf_append(&request->body, data, bytes) != 0) {
        drop_body(request);
        httpd_refuse(request, 413, "the body is larger than max_body");
    } else {
        httpd->body_bytes += bytes;
    }
}

static enum MHD_Result take_whole(struct httpd_request *request)
{
    const struct httpd *httpd = request->client->httpd;
    if (!request->response)
        httpd->calls->whole(httpd->context, request);
    if (request->response)
        return send_answer(request);
    request->state = WAITING;
    leave_line(request->client);
    MHD_suspend_connection(request->connection);
    return MHD_YES;
}

/* Called with the head; with each piece of the body; at its end, and again when the
 * connection is resumed. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data, size_t *bytes,
                                  void **ret_request)
{
    (void)context;
    (void)connection;
    (void)url;
    struct httpd_request *request = *ret_request;
    switch (request->state) {
    case ARRIVING:
        request->state = BODY;
        request->method = method;
        check_head(request, version);
        if (request->response && (request->expects || request->length > DRAIN_BYTES))
            return send_answer(request);
        return MHD_YES;
    case BODY:
        if (*bytes == 0)
            return take_whole(request);
        take_body(request, data, *bytes);
        *bytes = 0;
        return MHD_YES;
    case ANSWERED:
        return send_answer(request);
    case WAITING:
        break;
    }
    assert(false);
    return MHD_NO;
}

const char *httpd_method(const struct httpd_request *request)
{
    return request->method;
}

const char *httpd_target(const struct httpd_request *request)
{
    return request->target;
}

const struct address *httpd_client(const struct httpd_request *request)
{
    return &request->client->address;
}

const char *httpd_header(const struct httpd_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const void *httpd_body(const struct httpd_request *request, size_t *ret_bytes)
{
    *ret_bytes = request->body.bytes;
    return buf_text(&request->body);
}

void *httpd_context(const struct httpd_request *request)
{
    return request->client->httpd->context;
}

/* ---- on the loop ---- */

static void run(struct httpd *httpd)
{
    assert(!httpd->running); /* libmicrohttpd must not be called from its callbacks */
    httpd->running = true;
    for (int i = 0; i < ROUNDS_MOST && (i == 0 || httpd->flush_due); i++) {
        httpd->flush_due = false;
        MHD_run(httpd->daemon);
        httpd->calls->round(httpd->context);
    }
    httpd->running = false;
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    bool more = httpd->flush_due || (MHD_get_timeout(httpd->daemon, &wait_ms) == MHD_YES && wait_ms == 0);
    if (more)
        uv_idle_start(&httpd->soon, on_soon);
    else
        uv_idle_stop(&httpd->soon);
}

void httpd_flush(struct httpd *httpd)
{
    if (!httpd->running) /* otherwise it comes to that by itself */
        run(httpd);
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
    struct httpd *httpd = timer->data;
    if (end_late(httpd))
        run(httpd);
    if (httpd->listen)
        httpd_listen_look(httpd->listen);
}

/* ---- connections ---- */

static void on_connection(void *context, struct MHD_Connection *connection, void **ret_client,
                          enum MHD_ConnectionNotificationCode code)
{
    (void)connection;
    struct httpd *httpd = context;
    struct client *client = *ret_client;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        client = httpd->arriving;
        *ret_client = client;
        LIST_INSERT_HEAD(&httpd->clients, client, list);
        httpd->client_count++;
        restart_time(client);
        httpd->arriving = NULL;
    } else if (client) {
        *ret_client = NULL;
        leave_line(client);
        LIST_REMOVE(client, list);
        free(client);
        if (httpd->client_count-- >= httpd->config->max_connections && httpd->listen)
            httpd_listen_look(httpd->listen);
    }
}

static void on_accepted(void *context, int fd, const struct address *address)
{
    struct httpd *httpd = context;
    struct sockaddr_in6 name = {.sin6_family = AF_INET6};
    memcpy(&name.sin6_addr, address->bytes, sizeof address->bytes);
    struct client *client = xcalloc(1, sizeof *client);
    *client = (struct client){.httpd = httpd, .fd = fd, .address = *address};
    httpd->arriving = client;
    /* It closes the socket when it fails. */
    MHD_add_connection(httpd->daemon, fd, (const struct sockaddr *)&name, sizeof name);
    if (httpd->arriving) {
        free(client);
        httpd->arriving = NULL;
    }
    uv_idle_start(&httpd->soon, on_soon);
}

static void count_clients(void *context, const struct address *address, unsigned *ret_all, unsigned *ret_same)
{
    const struct httpd *httpd = context;
    const struct client *client;
    *ret_all = httpd->client_count;
    if (!address)
        return;
    *ret_same = 0;
    LIST_FOREACH(client, &httpd->clients, list)
        *ret_same += address_equal(&client->address, address);
}

/* ---- life ---- */

static struct MHD_Daemon *start_daemon(struct httpd *httpd)
{
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO |
                             MHD_USE_SUPPRESS_DATE_NO_CLOCK,
                         0, NULL, NULL, on_request, httpd, MHD_OPTION_URI_LOG_CALLBACK, on_target, httpd,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, httpd, MHD_OPTION_NOTIFY_CONNECTION,
                         on_connection, httpd, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_BYTES,
                         MHD_OPTION_CONNECTION_LIMIT, 20000u, MHD_OPTION_END);
    if (!daemon)
        abort(); /* no memory, or no descriptors at the start */
    return daemon;
}

struct httpd *httpd_new(uv_loop_t *loop, const struct config_http *config, const struct httpd_calls *calls,
                        void *context)
{
    static const struct httpd_listen_calls listen_calls = {.count = count_clients, .accepted = on_accepted};
    struct httpd *httpd = xcalloc(1, sizeof *httpd);
    httpd->config = config;
    httpd->calls = calls;
    httpd->context = context;
    LIST_INIT(&httpd->clients);
    TAILQ_INIT(&httpd->line);
    httpd->daemon = start_daemon(httpd);
    httpd->watches = watch_set_new(loop, on_events, httpd);
    int fd = MHD_get_daemon_info(httpd->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    if (watch_keep(httpd->watches, fd) != 0 || watch_want(httpd->watches, fd, UV_READABLE) != 0)
        abort();
    uv_timer_init(loop, &httpd->look);
    uv_idle_init(loop, &httpd->soon);
    httpd->look.data = httpd->soon.data = httpd;
    httpd->open_handles = 2;
    uv_timer_start(&httpd->look, on_look, LOOK_MS, LOOK_MS);
    httpd->listen = httpd_listen_new(loop, config, &listen_calls, httpd);
    return httpd;
}

void httpd_reconfigure(struct httpd *httpd, const struct config_http *config)
{
    httpd->config = config;
    if (httpd->listen)
        httpd_listen_reconfigure(httpd->listen, config);
}

void httpd_describe(const struct httpd *httpd, struct cJSON *to)
{
    const struct counts *counts = &httpd->counts;
    httpd_listen_describe(httpd->listen, status_add_list(to, STATUS_HTTP_LISTEN));
    status_add_number(to, STATUS_HTTP_CONNECTIONS, httpd->client_count);
    status_add_number(to, STATUS_HTTP_MAX_CONNECTIONS, httpd->config->max_connections);
    status_add_number(to, STATUS_HTTP_STORED, (int64_t)counts->stored);
    status_add_number(to, STATUS_HTTP_REPEATED, (int64_t)counts->repeated);
    status_add_number(to, STATUS_HTTP_PASSED_ON, (int64_t)counts->passed_on);
    status_add_number(to, STATUS_HTTP_REFUSED, (int64_t)counts->refused);
    status_add_number(to, STATUS_HTTP_SENT_AWAY, (int64_t)counts->sent_away);
}

void httpd_close(struct httpd *httpd)
{
    httpd_listen_free(httpd->listen);
    httpd->listen = NULL;
}

static void on_closed(uv_handle_t *handle)
{
    struct httpd *httpd = handle->data;
    if (--httpd->open_handles == 0)
        free(httpd);
}

void httpd_free(struct httpd *httpd)
{
    if (!httpd)
        return;
    httpd_close(httpd);
    watch_set_free(httpd->watches);
    MHD_stop_daemon(httpd->daemon);
    assert(LIST_EMPTY(&httpd->clients));
    uv_close((uv_handle_t *)&httpd->look, on_closed);
    uv_close((uv_handle_t *)&httpd->soon, on_closed);
}
