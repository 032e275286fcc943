/* http/server.h - an HTTP server on the loop. */
#ifndef SLUICE_HTTP_SERVER_H
#define SLUICE_HTTP_SERVER_H

#include "config/config.h"
#include "http/request.h"
#include "text/status.h"
#include <uv.h>

struct http_server;

/* Keeps what it is given. Clients come as soon as the loop runs. */
struct http_server *http_server_new(uv_loop_t *loop, const struct config_http *config,
                                    const struct http_calls *calls, void *context);
void http_server_reconfigure(struct http_server *server, const struct config_http *config);
/* Adds to an object: the addresses, how many connections there are and may be, and how
 * many requests were stored, repeated, passed_on, refused (4xx, or late) and sent_away (503). */
void http_server_describe(const struct http_server *server, struct cJSON *to);
/* Takes no more clients; those that are there may go on. */
void http_server_close(struct http_server *server);
/* Every request that was handed over must have its response. The memory is released when
 * the loop has run once more. Takes NULL. */
void http_server_free(struct http_server *server);

#endif
