/* http/request.h - one HTTP request, as its owner sees it.
 *
 * The owner gets a head only when it is certain where the request ends (http/head.h). Then it
 * refuses the request, or gets all of it and responds, now or later. A request that waits for its
 * response costs neither time nor a place in the loop; the owner decides how long. All that
 * comes before must be done within the configured time-out, or the connection is closed; so
 * must the sending of the response.
 *
 * The callbacks are called from the loop, never from inside of http_respond.
 */
#ifndef SLUICE_HTTP_REQUEST_H
#define SLUICE_HTTP_REQUEST_H

#include "base/address.h"
#include <stdbool.h>
#include <stddef.h>

struct http_request;

struct http_calls {
    /* The head is there: respond to refuse it, or do nothing to accept it. */
    void (*head)(void *context, struct http_request *request);
    /* All of the request is there: respond now or later. */
    void (*whole)(void *context, struct http_request *request);
    /* All that came in one round of the loop was handed over, and the responses given before are
     * sent. */
    void (*round)(void *context);
};

struct http_response {
    unsigned status;
    const char *content_type; /* NULL: application/json */
    const void *body;         /* is copied; NULL with bytes: the response to a HEAD, which gives the length */
    size_t body_bytes;
    unsigned retry_after_s; /* 0: no such header */
    const char *allow;      /* or NULL */
    /* For the counts; otherwise the status decides: */
    bool repeated;  /* the request is in the queue already */
    bool passed_on; /* the response is the backend's */
};

enum { HTTP_RETRY_AFTER_S = 10 }; /* while the queue takes nothing */

/* Once for each request, which is gone on return if it was whole. */
void http_respond(struct http_request *request, const struct http_response *response);
/* With a body {"error":"<reason>"}; the reason needs no escapes. */
void http_respond_error(struct http_request *request, unsigned status, unsigned retry_after_s,
                        const char *reason);

/* Of a request, until it is responded to. */
const char *http_request_method(const struct http_request *request);
const char *http_request_target(const struct http_request *request); /* raw, as the client sent it */
/* POST, PUT or PATCH. */
bool http_request_takes_body(const struct http_request *request);
const struct address *http_request_client(const struct http_request *request);
const char *http_request_header(const struct http_request *request, const char *name); /* or NULL */
const void *http_request_body(const struct http_request *request, size_t *ret_bytes);
/* Of all responses of its server that are not sent yet: clients may be slow to read them. */
size_t http_request_unsent_bytes(const struct http_request *request);

#endif
