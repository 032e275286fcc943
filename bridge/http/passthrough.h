/* http/passthrough.h - GET and HEAD, passed on to the backend while the client waits. */
#ifndef SLUICE_INTAKE_HTTP_PASS_H
#define SLUICE_INTAKE_HTTP_PASS_H

#include "config/config.h"
#include "http/server.h"

struct pass;

/* Keeps what it is given. */
struct pass *pass_new(uv_loop_t *loop, const struct config *config, const struct config_http *http);
/* Answers the request, sooner or later. */
void pass_start(struct pass *pass, struct httpd_request *request);
/* Requests under way are answered 503. Lets go of the memory when the loop has run once
 * more. Takes NULL. */
void pass_free(struct pass *pass);

#endif
