/* http/store.h - requests that wait until they are stored: then they get their response.
 *
 *     POST, PUT, PATCH ──► waiting ──► BEGIN, a row each, COMMIT ──► 202, {"id":"<key>"}
 *                             ▲                │ locked, or commit_delay: again in a moment
 *                             └────────────────┘ full, or fails: 503
 *
 * All requests that came together share one commit, as messages from the broker do. A client
 * that gets 503 must keep its message.
 */
#ifndef SLUICE_HTTP_STORE_H
#define SLUICE_HTTP_STORE_H

#include "config/config.h"
#include "http/request.h"
#include "intake/intake.h"
#include <uv.h>

struct http_store;

/* Keeps what it is given. The batch and the delay of commits are those of `commits` now. */
struct http_store *http_store_new(uv_loop_t *loop, const struct config_queue *commits, struct intake *intake,
                                  struct queue *queue);
/* No request must wait. The memory is released when the loop has run once more. */
void http_store_free(struct http_store *store);

/* Why the queue takes nothing, or NULL. Static text. */
const char *http_store_full(const struct http_store *store);
/* The request is whole, and waits for the next commit. http gives its route and its
 * response. */
void http_store_add(struct http_store *store, struct http_request *request, const struct config_http *http,
                    const struct config_route *route);
/* The responses that were given are sent: deliveries may begin. And stores what waits. */
void http_store_round(struct http_store *store);
/* Responds to all that wait, after one more commit, and waits for nothing. */
void http_store_settle(struct http_store *store);
/* From now on commits are not delayed. */
void http_store_hurry(struct http_store *store);

/* Responds 503, and logs that once a minute. */
void http_send_away(struct http_store *store, struct http_request *request, const char *reason);

#endif
