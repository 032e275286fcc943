/* http/passthrough.c - GET and HEAD, passed on to the backend while the client waits.
 *
 * The backend's status, content type and body come back as they are, redirects and
 * errors too. Nothing is stored, nothing is tried again, and it is no evidence for or
 * against the backend: these requests have connections of their own, apart from those
 * of delivery. How many are under way and how long an answer may be is limited.
 */
#include "http/passthrough.h"
#include "base/log.h"
#include "net/transfer.h"
#include "request/redact.h"
#include "request/request.h"

#include <string.h>

struct pass {
    const struct config_http *config;
    const struct config_backend *backend;
    const struct config_route *route;
    struct transfer *transfer;
    unsigned under_way;
};

/* A request under way. */
struct passing {
    struct pass *pass;
    struct httpd_request *request;
    bool head;
};

static void refuse(struct httpd_request *request, unsigned status, const char *words, unsigned retry_after_s)
{
    cleanup_free char *body = xasprintf("{\"error\":\"%s\"}\n", words);
    httpd_answer(request, &(struct httpd_answer){.status = status,
                                                 .body = body,
                                                 .body_bytes = strlen(body),
                                                 .retry_after_s = retry_after_s,
                                                 .passed_on = status == 502 || status == 504});
}

static void answer_failure(const struct passing *passing, const struct reply *reply)
{
    cleanup_free char *error =
        redact_text(passing->pass->backend, passing->pass->route, httpd_target(passing->request),
                    reply->error, strlen(reply->error));
    log_debug(EVENT_HTTP_PASSTHROUGH_FAILED, "backend %s: %s", passing->pass->backend->name, error);
    if (reply->timed_out)
        refuse(passing->request, 504, "the backend did not answer in time", 0);
    else if (reply->cut)
        refuse(passing->request, 502, "the backend's answer is longer than passthrough_size", 0);
    else
        refuse(passing->request, 502, "the backend cannot be reached", 0);
}

static void on_done(void *context, const struct reply *reply)
{
    struct passing *passing = context;
    passing->pass->under_way--;
    if (reply->failure != TRANSFER_OK) {
        answer_failure(passing, reply);
    } else {
        bool length_known = passing->head && reply->content_length > 0;
        httpd_answer(passing->request,
                     &(struct httpd_answer){.status = (unsigned)reply->status,
                                            .content_type = reply->content_type ? reply->content_type : "",
                                            .body = passing->head ? NULL : reply->body,
                                            .body_bytes = length_known    ? (size_t)reply->content_length
                                                          : passing->head ? 0
                                                                          : reply->body_bytes,
                                            .passed_on = true});
    }
    free(passing);
}

/* As many long answers as may be under way wait for clients that do not read them. */
static bool has_much_to_send(const struct pass *pass, const struct httpd_request *http)
{
    uint64_t most = (uint64_t)pass->config->passthrough_requests * (uint64_t)pass->config->passthrough_size;
    return httpd_unsent_bytes(http) >= most;
}

/* The memory of a request's texts is given back: these are rare. */
void pass_start(struct pass *pass, struct httpd_request *http)
{
    if (pass->under_way >= pass->config->passthrough_requests || has_much_to_send(pass, http)) {
        refuse(http, 503, "too many requests are being passed on", 1);
        return;
    }
    struct request request = {.response_most = (size_t)pass->config->passthrough_size};
    if (request_pass(&request, pass->backend, pass->route, httpd_method(http), httpd_target(http),
                     httpd_header(http, "Accept"), httpd_header(http, "Authorization")) != 0) {
        refuse(http, 400, "the request is too long to be passed on, or holds more than visible ASCII", 0);
    } else {
        struct passing *passing = xcalloc(1, sizeof *passing);
        *passing =
            (struct passing){.pass = pass, .request = http, .head = strcmp(httpd_method(http), "HEAD") == 0};
        pass->under_way++;
        transfer_start(pass->transfer, &request, on_done, passing);
    }
    request_done(&request);
}

struct pass *pass_new(uv_loop_t *loop, const struct config *config, const struct config_http *http)
{
    struct pass *pass = xcalloc(1, sizeof *pass);
    pass->config = http;
    pass->route = &config->routes[http->route];
    pass->backend = &config->backends[pass->route->backend];
    pass->transfer = transfer_new(loop, pass->backend);
    return pass;
}

static void drop(void *context)
{
    struct passing *passing = context;
    refuse(passing->request, 503, "sluice is starting over", 1);
    free(passing);
}

void pass_free(struct pass *pass)
{
    if (!pass)
        return;
    transfer_free(pass->transfer, drop);
    free(pass);
}
