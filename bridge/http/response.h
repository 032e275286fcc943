/* http/response.h - an answer, as libmicrohttpd wants it. For http/server.c alone. */
#ifndef SLUICE_HTTPD_RESPONSE_H
#define SLUICE_HTTPD_RESPONSE_H

#include "http/server.h"

struct MHD_Response;

/* The body, of which it has a copy, and those headers that the answer asks for. To
 * be let go by MHD_destroy_response. */
struct MHD_Response *httpd_response_new(const struct httpd_answer *answer);

#endif
