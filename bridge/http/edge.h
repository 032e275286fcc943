/* http/edge.h - the edge to clients that speak plain HTTP. */
#ifndef SLUICE_HTTP_EDGE_H
#define SLUICE_HTTP_EDGE_H

#include "config/config.h"
#include "intake/intake.h"
#include "queue/queue.h"
#include "text/status.h"
#include <uv.h>

struct http;

/* Listens for every [http] of the configuration. Keeps everything that it is given;
 * commit_batch and commit_delay are those at start. */
struct http *http_new(uv_loop_t *loop, const struct config *config, struct intake *intake,
                      struct queue *queue);

/* Another configuration, which the intake has already. Requests that wait for the backend
 * get 503. The old configuration is no longer used on return. */
void http_reconfigure(struct http *http, const struct config *config);

/* Appends an object for each [http]: its name, its state ("ok"; or "holding": requests get
 * 503, and why), and what http_server_describe adds. */
void http_describe(const struct http *http, struct cJSON *array);

/* sluice is about to stop: takes no more clients, and commits are not delayed. */
void http_hurry(struct http *http);

/* Every request gets its response first. The memory is released when the loop has run once
 * more. Takes NULL. */
void http_free(struct http *http);

#endif
