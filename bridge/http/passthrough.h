/* http/passthrough.h - GET and HEAD requests, passed on to the backend while the client waits. */
#ifndef SLUICE_HTTP_PASSTHROUGH_H
#define SLUICE_HTTP_PASSTHROUGH_H

#include "config/config.h"
#include "http/request.h"
#include <uv.h>

struct passthrough;

/* Keeps what it is given. */
struct passthrough *passthrough_new(uv_loop_t *loop, const struct config *config,
                                    const struct config_http *http);
/* Responds to the request, sooner or later. */
void passthrough_start(struct passthrough *passthrough, struct http_request *request);
/* Requests in flight get 503. The memory is released when the loop has run once more. Takes
 * NULL. */
void passthrough_free(struct passthrough *passthrough);

#endif
