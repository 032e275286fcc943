/* net/exchange.h - one HTTPS request and its response, on a curl easy handle. An exchange is
 * used again for the next request: the options that never change are set once.
 *
 * Each phase has a limit of its own, because curl's connect time-out begins with the look-up of the
 * name. That may take the resolver 15 s with no fault of the backend: a name server that never
 * responds to questions of one kind (AAAA).
 *
 *   the name is looked up      with what follows, four times connect_timeout
 *   connect, TLS               connect_timeout
 *   request and response       timeout
 */
#ifndef SLUICE_NET_EXCHANGE_H
#define SLUICE_NET_EXCHANGE_H

#include "base/buf.h"
#include "net/transfer.h"
#include "net/watch.h"
#include <curl/curl.h>

struct exchange;
/* The limit of a phase is over: the exchange is to be ended with CURLE_OPERATION_TIMEDOUT. */
typedef void exchange_late_fn(void *context, struct exchange *exchange);

struct exchange {
    const struct config_backend *backend;
    struct watch_set *watches;
    bool connecting;
    uv_timer_t limit; /* of the phase */
    char limit_text[80];
    exchange_late_fn *late;
    void *late_context;
    CURL *easy;                 /* its CURLOPT_PRIVATE is the exchange */
    struct curl_slist *headers; /* an array */
    size_t header_capacity;
    struct buf lines; /* what they point to */
    void *body;
    size_t body_capacity;
    struct buf answer;
    bool answer_whole; /* a longer one is an error */
    bool answer_cut;
    char method[8]; /* that is set in `easy` */
    char error[CURL_ERROR_SIZE];
    bool failed; /* by exchange_fail */
    transfer_done_fn *done;
    void *context;
    struct exchange *next, *previous; /* of the transfer's lists */
};

/* Keeps watches: the sockets of its connections are added to them when they are opened, and
 * removed before they are closed. late is called from the loop. */
struct exchange *exchange_new(uv_loop_t *loop, const struct config_backend *backend,
                              struct watch_set *watches, exchange_late_fn *late, void *context);
/* Everything that the request needs is copied. */
void exchange_prepare(struct exchange *exchange, const struct request *request);
/* Ends it soon, without curl, as TRANSFER_LOCAL with this reason. */
void exchange_fail(struct exchange *exchange, const char *why);
/* The response, when curl is done with it. Valid until exchange_clear. */
struct reply exchange_reply(struct exchange *exchange, CURLcode code);
/* Ready for the next request; keeps memory of the usual size. */
void exchange_clear(struct exchange *exchange);
/* Its memory is freed when the loop has closed its timer. */
void exchange_free(struct exchange *exchange);

#endif
