/* http/edge.h - the edge to clients that speak plain HTTP. */
#ifndef SLUICE_INTAKE_HTTP_H
#define SLUICE_INTAKE_HTTP_H

#include "config/config.h"
#include "intake/intake.h"
#include "queue/queue.h"
#include "text/status.h"
#include <uv.h>

struct intake_http;

/* Listens for every [http] of the configuration. Keeps everything that it is given; the
 * delay of commits is the configuration's at start. */
struct intake_http *intake_http_new(uv_loop_t *loop, const struct config *config, struct intake *intake,
                                    struct queue *queue);

/* Another configuration, which the intake has already. Requests that wait for the
 * backend's answer are answered 503; the old configuration is no longer used on return. */
void intake_http_reconfigure(struct intake_http *http, const struct config *config);

/* Appends an object for each [http]: its name, its state (ok, or holding: requests are
 * answered 503, and why), and what httpd_describe says. */
void intake_http_describe(const struct intake_http *http, struct cJSON *array);

/* It is about to stop: no more clients, and commits wait for nothing. */
void intake_http_hurry(struct intake_http *http);

/* Every request gets its answer first. Lets go of the memory when the loop has run once
 * more. Takes NULL. */
void intake_http_free(struct intake_http *http);

#endif
