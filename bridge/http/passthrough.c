/* http/passthrough.c - see http/passthrough.h.
 *
 * The client gets the backend's status, content type and body as they are, of redirects and
 * errors too. Nothing is stored or tried again, and nothing is learned about the backend:
 * these requests have connections of their own, apart from those of deliveries. The number
 * of requests in flight and the length of a response are limited.
 */
#include "http/passthrough.h"
#include "base/log.h"
#include "net/transfer.h"
#include "request/redact.h"
#include "request/request.h"

#include <string.h>

enum { RETRY_AFTER_S = 1 };

struct passthrough {
    const struct config_http *config;
    const struct config_backend *backend;
    const struct config_route *route;
    struct transfer *transfer;
    unsigned in_flight;
};

struct exchange {
    struct passthrough *passthrough;
    struct http_request *request;
    bool is_head;
};

static void respond_failure(const struct exchange *exchange, const struct reply *reply)
{
    cleanup_free char *error =
        redact_text(exchange->passthrough->backend, exchange->passthrough->route,
                    http_request_target(exchange->request), reply->error, strlen(reply->error));
    log_debug(EVENT_HTTP_PASSTHROUGH_FAILED, "backend %s: %s", exchange->passthrough->backend->name, error);
    if (reply->timed_out)
        http_respond_error(exchange->request, 504, 0, "the backend did not respond in time");
    else if (reply->cut)
        http_respond_error(exchange->request, 502, 0,
                           "the backend's response is longer than passthrough_size");
    else
        http_respond_error(exchange->request, 502, 0, "the backend cannot be reached");
}

static void on_done(void *context, const struct reply *reply)
{
    struct exchange *exchange = context;
    exchange->passthrough->in_flight--;
    if (reply->failure != TRANSFER_OK) {
        respond_failure(exchange, reply);
    } else {
        bool length_known = exchange->is_head && reply->content_length > 0;
        http_respond(exchange->request,
                     &(struct http_response){.status = (unsigned)reply->status,
                                             .content_type = reply->content_type ? reply->content_type : "",
                                             .body = exchange->is_head ? NULL : reply->body,
                                             .body_bytes = length_known        ? (size_t)reply->content_length
                                                           : exchange->is_head ? 0
                                                                               : reply->body_bytes,
                                             .passed_on = true});
    }
    free(exchange);
}

/* Clients do not read their responses, which are as much as all requests in flight may bring. */
static bool has_much_to_send(const struct passthrough *passthrough, const struct http_request *http)
{
    uint64_t most =
        (uint64_t)passthrough->config->passthrough_requests * (uint64_t)passthrough->config->passthrough_size;
    return http_request_unsent_bytes(http) >= most;
}

void passthrough_start(struct passthrough *passthrough, struct http_request *http)
{
    if (passthrough->in_flight >= passthrough->config->passthrough_requests ||
        has_much_to_send(passthrough, http)) {
        http_respond_error(http, 503, RETRY_AFTER_S, "too many requests are being passed on");
        return;
    }
    struct request request = {.response_most = (size_t)passthrough->config->passthrough_size};
    if (request_pass(&request, passthrough->backend, passthrough->route, http_request_method(http),
                     http_request_target(http), http_request_header(http, "Accept"),
                     http_request_header(http, "Authorization")) != 0) {
        http_respond_error(http, 400, 0,
                           "the request is too long to be passed on, or holds more than visible ASCII");
    } else {
        struct exchange *exchange = xcalloc(1, sizeof *exchange);
        *exchange = (struct exchange){.passthrough = passthrough,
                                      .request = http,
                                      .is_head = strcmp(http_request_method(http), "HEAD") == 0};
        passthrough->in_flight++;
        transfer_start(passthrough->transfer, &request, on_done, exchange);
    }
    request_done(&request);
}

struct passthrough *passthrough_new(uv_loop_t *loop, const struct config *config,
                                    const struct config_http *http)
{
    struct passthrough *passthrough = xcalloc(1, sizeof *passthrough);
    passthrough->config = http;
    passthrough->route = &config->routes[http->route];
    passthrough->backend = &config->backends[passthrough->route->backend];
    passthrough->transfer = transfer_new(loop, passthrough->backend);
    return passthrough;
}

static void drop(void *context)
{
    struct exchange *exchange = context;
    http_respond_error(exchange->request, 503, RETRY_AFTER_S, "sluice is being reloaded or stopped");
    free(exchange);
}

void passthrough_free(struct passthrough *passthrough)
{
    if (!passthrough)
        return;
    transfer_free(passthrough->transfer, drop);
    free(passthrough);
}
