/* net/transfer.c - HTTPS requests to one backend, many at a time, on the loop.
 *
 * How libcurl and libuv fit together: curl reports which sockets it waits for
 * (on_curl_socket) and when it wants to be called again (on_curl_timer); libuv
 * watches both and calls curl_multi_socket_action, after which finished
 * requests are collected (collect). Done callbacks run only from there, never
 * from inside curl. The sockets of connections are opened and closed here for
 * curl, so that their watches last as long as they do (net/watch.c).
 *
 * An exchange is one request with its easy handle. Exchanges are reused: the
 * options that never change are set once, and a connection is not tied to one.
 */
#include "net/transfer.h"
#include "base/log.h"
#include "net/exchange.h"

struct transfer {
    uv_loop_t *loop;
    const struct config_backend *backend;
    CURLM *multi;
    struct watch_set *watches;
    uv_timer_t timer;
    uv_idle_t soon; /* a time-out of 0: a timer that sets itself to 0 again would starve the sockets */
    int open_handles;
    struct exchange *idle;
    struct exchange *active;
};

/* ---- the end of a request ---- */

static void unlink_active(struct transfer *transfer, struct exchange *exchange)
{
    if (exchange->next)
        exchange->next->previous = exchange->previous;
    if (exchange->previous)
        exchange->previous->next = exchange->next;
    else
        transfer->active = exchange->next;
    exchange->next = exchange->previous = NULL;
}

static void finish(struct transfer *transfer, struct exchange *exchange, CURLcode code)
{
    curl_multi_remove_handle(transfer->multi, exchange->easy);
    unlink_active(transfer, exchange);
    struct reply reply = exchange_reply(exchange, code);
    exchange->done(exchange->context, &reply);
    exchange_clear(exchange);
    if (code == CURLE_COULDNT_RESOLVE_HOST) { /* libcurl 8.14 would leak the name at the next look-up */
        exchange_free(exchange);
        return;
    }
    exchange->next = transfer->idle;
    transfer->idle = exchange;
}

static void collect(struct transfer *transfer)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(transfer->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        char *exchange = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
        finish(transfer, (struct exchange *)(void *)exchange, message->data.result);
    }
}

static void on_late(void *context, struct exchange *exchange)
{
    finish(context, exchange, CURLE_OPERATION_TIMEDOUT);
}

/* ---- curl on the loop ---- */

static void on_timer(uv_timer_t *timer)
{
    struct transfer *transfer = timer->data;
    int running;
    curl_multi_socket_action(transfer->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(transfer);
}

static void on_soon(uv_idle_t *soon)
{
    struct transfer *transfer = soon->data;
    uv_idle_stop(soon);
    on_timer(&transfer->timer);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    struct transfer *transfer = context;
    uv_timer_stop(&transfer->timer);
    uv_idle_stop(&transfer->soon);
    if (timeout_ms == 0)
        uv_idle_start(&transfer->soon, on_soon);
    else if (timeout_ms > 0)
        uv_timer_start(&transfer->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static void on_socket(void *context, int socket, int status, int events)
{
    struct transfer *transfer = context;
    int what = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        what |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        what |= CURL_CSELECT_OUT;
    int running;
    curl_multi_socket_action(transfer->multi, socket, what, &running);
    collect(transfer);
}

static int on_curl_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *socket_context)
{
    (void)easy;
    (void)socket_context;
    struct transfer *transfer = context;
    int events = 0;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        events |= UV_READABLE;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        events |= UV_WRITABLE;
    int error = watch_want(transfer->watches, socket, events);
    if (error != 0)
        log_error(EVENT_SOCKET_UNWATCHED, "%s", uv_strerror(error));
    return 0; /* the request ends with a time-out; -1 would end all of them, and those to come */
}

/* ---- the start of a request ---- */

static struct exchange *take(struct transfer *transfer)
{
    struct exchange *exchange = transfer->idle;
    if (exchange)
        transfer->idle = exchange->next;
    else
        exchange = exchange_new(transfer->loop, transfer->backend, transfer->watches, on_late, transfer);
    exchange->previous = NULL;
    exchange->next = transfer->active;
    if (transfer->active)
        transfer->active->previous = exchange;
    transfer->active = exchange;
    return exchange;
}

void transfer_start(struct transfer *transfer, const struct request *request, transfer_done_fn *done,
                    void *context)
{
    struct exchange *exchange = take(transfer);
    exchange->done = done;
    exchange->context = context;
    exchange_prepare(exchange, request);
    if (request->fault) {
        exchange_fail(exchange, request->fault);
        return;
    }
    CURLMcode code = curl_multi_add_handle(transfer->multi, exchange->easy);
    if (code != CURLM_OK) /* no memory */
        abort();
}

/* ---- life ---- */

void transfer_library_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void transfer_library_done(void)
{
    curl_global_cleanup();
}

struct transfer *transfer_new(uv_loop_t *loop, const struct config_backend *backend)
{
    struct transfer *transfer = xcalloc(1, sizeof *transfer);
    transfer->loop = loop;
    transfer->backend = backend;
    transfer->multi = curl_multi_init();
    if (!transfer->multi)
        abort();
    transfer->watches = watch_set_new(loop, on_socket, transfer);
    uv_timer_init(loop, &transfer->timer);
    uv_idle_init(loop, &transfer->soon);
    transfer->timer.data = transfer->soon.data = transfer;
    transfer->open_handles = 2;
    curl_multi_setopt(transfer->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(transfer->multi, CURLMOPT_SOCKETDATA, transfer);
    curl_multi_setopt(transfer->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(transfer->multi, CURLMOPT_TIMERDATA, transfer);
    curl_multi_setopt(transfer->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(transfer->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)backend->max_connections);
    curl_multi_setopt(transfer->multi, CURLMOPT_MAXCONNECTS, (long)backend->max_connections);
    return transfer;
}

static void on_closed(uv_handle_t *handle)
{
    struct transfer *transfer = handle->data;
    if (--transfer->open_handles == 0)
        free(transfer);
}

void transfer_free(struct transfer *transfer, void (*drop_context)(void *context))
{
    if (!transfer)
        return;
    struct exchange *exchange;
    while ((exchange = transfer->active) != NULL) {
        curl_multi_remove_handle(transfer->multi, exchange->easy);
        unlink_active(transfer, exchange);
        drop_context(exchange->context);
        exchange_free(exchange);
    }
    while ((exchange = transfer->idle) != NULL) {
        transfer->idle = exchange->next;
        exchange_free(exchange);
    }
    curl_multi_cleanup(transfer->multi); /* closes the connections; calls on_close_socket */
    watch_set_free(transfer->watches);
    uv_close((uv_handle_t *)&transfer->timer, on_closed);
    uv_close((uv_handle_t *)&transfer->soon, on_closed);
}
