/* http/server.h - HTTP requests that come, and their answers: libmicrohttpd on the loop.
 *
 * What a request goes through:
 *
 *   ARRIVING ──head──► BODY ──whole──► WAITING ──httpd_answer──► ANSWERED ──► gone
 *       │               │
 *       └── refused ────┴──► its answer, once the rest of it was read where that is
 *                            little, and at once otherwise; then the connection closes
 *
 * A head is passed on only when it is certain where the request ends (request/target.h). A
 * request that is waiting costs no time and no descriptor of the loop; for how long it
 * waits is the owner's business. Everything before and after that has to be done within
 * the configured time-out, or the connection is closed.
 *
 * The callbacks are called from the loop, never from inside of httpd_answer.
 */
#ifndef SLUICE_HTTPD_H
#define SLUICE_HTTPD_H

#include "config/config.h"
#include "text/status.h"
#include <uv.h>

struct httpd;
struct httpd_request;

struct httpd_calls {
    /* The head is there: to be refused by an answer, or left alone. */
    void (*head)(void *context, struct httpd_request *request);
    /* All of it is: to be answered, now or later. */
    void (*whole)(void *context, struct httpd_request *request);
    /* Those that came together have been handed over, and answers given before are on
     * their way. */
    void (*round)(void *context);
};

struct httpd_answer {
    unsigned status;
    const char *content_type; /* NULL: application/json */
    const void *body;         /* is copied; NULL with bytes: the answer to a HEAD, which tells of them */
    size_t body_bytes;
    unsigned retry_after_s; /* 0: no such header */
    const char *allow;      /* or NULL */
    bool close;             /* the connection, afterwards */
    /* For the counts; otherwise the status decides: */
    bool repeated;  /* it is the answer to a request that came before */
    bool passed_on; /* the backend's, or in place of one that did not come */
};

/* Keeps what it is given. Clients come as soon as the loop runs. */
struct httpd *httpd_new(uv_loop_t *loop, const struct config_http *config, const struct httpd_calls *calls,
                        void *context);
void httpd_reconfigure(struct httpd *httpd, const struct config_http *config);
/* Adds to an object: the addresses, how many connections there are and may be, and how
 * many requests were stored, repeated, passed_on, refused (4xx, or late) and sent_away (503). */
void httpd_describe(const struct httpd *httpd, struct cJSON *to);
/* Takes no more clients; those that are there may go on. */
void httpd_close(struct httpd *httpd);
/* Sends answers that were given outside of the callbacks. */
void httpd_flush(struct httpd *httpd);
/* Every request that was handed over must have been answered. Lets go of the memory
 * when the loop has run once more. Takes NULL. */
void httpd_free(struct httpd *httpd);

/* Of a request, until it is answered. */
const char *httpd_method(const struct httpd_request *request);
const char *httpd_target(const struct httpd_request *request); /* raw, as the client sent it */
const struct address *httpd_client(const struct httpd_request *request);
const char *httpd_header(const struct httpd_request *request, const char *name); /* or NULL */
const void *httpd_body(const struct httpd_request *request, size_t *ret_bytes);
void *httpd_context(const struct httpd_request *request); /* the owner's */
/* Bytes of all answers that are not out yet: clients may be slow to read them. */
size_t httpd_unsent_bytes(const struct httpd_request *request);
void httpd_answer(struct httpd_request *request, const struct httpd_answer *answer);
/* The same, with a body {"error":"..."}; the words need no escapes. A 503 says when to come
 * again. */
void httpd_refuse(struct httpd_request *request, unsigned status, const char *words);

#endif
