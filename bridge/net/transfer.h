/* net/transfer.h - HTTPS requests to one backend, many at a time, on the loop.
 *
 * libcurl's multi interface, driven by libuv: HTTP/2 with all requests on one
 * connection where the backend has it, HTTP/1.1 with kept connections otherwise.
 * Only https:// is ever spoken, certificates and host names are always checked,
 * redirects are never followed. Nothing here blocks the loop: names are looked
 * up in a thread that nobody waits for.
 *
 * The caller must not start more requests than can be sent at once (see
 * deliver/destination.h): time spent in a waiting line would count into the time-out.
 */
#ifndef SLUICE_TRANSFER_H
#define SLUICE_TRANSFER_H

#include "config/config.h"
#include "request/request.h"
#include <uv.h>

struct transfer;

/* How a request ended, below HTTP. */
enum transfer_failure {
    TRANSFER_OK,               /* a whole response came: its status decides */
    TRANSFER_UNREACHABLE,      /* nothing of the request was sent: no name, no route, refused */
    TRANSFER_BROKEN,           /* it was sent, in part at least, and no whole response came */
    TRANSFER_TLS,              /* the TLS handshake or the certificate's check failed */
    TRANSFER_CERTIFICATE_TIME, /* the certificate is expired or not yet valid */
    TRANSFER_LOCAL,            /* we could not even try: a bad URL, an unreadable file */
};

/* The response, valid during the callback only. */
struct reply {
    enum transfer_failure failure;
    int status;               /* HTTP status; 0 when none was received */
    unsigned http_version;    /* 1 or 2; 0 when no response came */
    const char *retry_after;  /* header's value, or NULL */
    const char *date;         /* header's value, or NULL */
    const char *content_type; /* header's value, or NULL */
    const char *body;         /* its beginning, not terminated; at most TRANSFER_BODY_BYTES, or as the */
    size_t body_bytes;        /* request says */
    int64_t content_length;   /* header's value, or -1 */
    bool cut;                 /* it was longer than the request says (TRANSFER_BROKEN) */
    bool timed_out;
    const char *error; /* libcurl's message when failure is not TRANSFER_OK, otherwise "" */
};

#define TRANSFER_BODY_BYTES 4096

typedef void transfer_done_fn(void *context, const struct reply *reply);

/* Around everything else here, once in a process: it takes a tenth of a second. */
void transfer_library_init(void);
void transfer_library_done(void);

/* Keeps backend, which must outlive it. */
struct transfer *transfer_new(uv_loop_t *loop, const struct config_backend *backend);

/* Starts a request; everything it needs is copied. done is called once, later,
 * from the loop, and may start others. A request with a fault is not sent (TRANSFER_LOCAL). */
void transfer_start(struct transfer *transfer, const struct request *request, transfer_done_fn *done,
                    void *context);

/* Drops the requests in flight: no done callback runs, each context is given to
 * drop_context instead. The memory is freed when the loop has run once more.
 * Takes NULL. */
void transfer_free(struct transfer *transfer, void (*drop_context)(void *context));

#endif
