/* request/request.h - what is sent for messages: URL, headers, body. Pure.
 *
 * Made at delivery, not at receipt, so that a corrected configuration also applies to
 * what is queued. No part of it can leave the backend's base URL or add a header: the
 * path comes from message/path.h, and what a header quotes from a topic is
 * percent-encoded (and left out where that makes more than 4 KiB).
 *
 *   request_begin ── request_add, for each message ── request_finish
 *
 * An HTTP client's message goes out with its own method, and to what follows /api
 * in its target, query included, below the backend's URL.
 *
 * A route without `batch` sends one message a request; one with it sends an array,
 * or lines, of as many as are added, also where that is one only.
 *
 * These headers give the time of one message:
 *
 *   Sluice-Received: 2026-11-22T17:33:16.123Z    when sluice received it
 *   Sluice-Age: 212                              N ms ago, by a clock that nobody sets;
 *                                                left out where that is not known
 *   Sluice-Clock: unsynchronised                 where the clock was not right, and these are
 *                                                no dates to rely on: the present less the age
 *                                                is, and so are differences between messages
 *                                                of one sluice that are close to each other
 *   Sluice-Late: since 2026-11-22T16:01:00.000Z  where it waited at the broker while sluice was
 *                                                away: published between then and its receipt
 *
 *   Sluice-Retained: yes                         where the broker had it before sluice subscribed
 *
 * Several messages have `Sluice-Messages: 100` instead, Sluice-Clock and Sluice-Retained where they
 * hold for one of them, and Sluice-Topic where all have the same; the fields of the
 * configuration (message/fields.h) tell what they need of each.
 */
#ifndef SLUICE_REQUEST_H
#define SLUICE_REQUEST_H

#include "base/base.h"
#include "base/buf.h"
#include "config/config.h"
#include "message/message.h"

/* All header lines together; values come from the configuration. */
#define REQUEST_HEADERS_BYTES ((size_t)256 * 1024)

struct digest;
struct gzip;

/* All zero, or ended by request_done, it is ready for request_begin. */
struct request {
    struct buf url;
    struct buf headers; /* "Name: value" lines, each with a NUL after it */
    char method[8];     /* "": POST */
    const void *body;   /* not owned: the payload of its only message, or one of the buffers below */
    size_t body_bytes;
    size_t response_most; /* bytes of the response, which is wanted whole; 0: its beginning is enough */
    unsigned messages;
    unsigned repaired; /* of these: payloads that were no JSON before (repair) */

    const char *gateway;
    const struct config_backend *backend;
    const struct config_route *route;
    const char *fault; /* why it must not be sent (config.h); NULL: it may */
    size_t body_most;  /* bytes of a batch */
    bool alone;        /* nothing can be added to what is in it */
    bool same_topic, synchronised, retained;
    struct message first;     /* whose pointers are not valid any more */
    struct buf topic;         /* of the first */
    const char *content_type; /* of what is sent as it is, or NULL */
    int64_t age_ms;
    struct buf made;     /* a body that is not the payload itself */
    struct buf other;    /* the URL of a further message */
    size_t full_bytes;   /* of the body before it was compressed */
    struct digest *keys; /* of the members' keys */
    struct gzip *gzip;
    struct buf compressed;
};

/* Starts over; the memory is used again. Keeps what it is given until the finish.
 * batch_bytes: what the body of several messages may take. */
void request_begin(struct request *request, const char *gateway, const struct config_backend *backend,
                   const struct config_route *route, size_t batch_bytes);

/* Adds a message, whose payload must stay until the request was sent where it is
 * the only one. age_ms: since receipt, negative when it is not known. Returns 0;
 * -EXDEV it cannot share this request (another URL, not JSON where that is sent as it is),
 * -EMSGSIZE it has no room in it, both never for the first message; -EINVAL it cannot be sent at
 * all, and -ENODATA its route ignores it (not_object): *ret_reason is "path" or "body", *ret_why
 * says why (freed by the caller).
 * After a failure the request is as it was. */
int request_add(struct request *request, const struct message *message, int64_t age_ms,
                const char **ret_reason, char **ret_why);

/* Makes the headers. 0, or -EINVAL with the reason. */
int request_finish(struct request *request, const char **ret_reason, char **ret_why);

/* After it was sent: frees what is more memory than the usual body takes. */
void request_trim(struct request *request);
/* Makes a request of another kind: GET or HEAD, passed on for an HTTP client, with some
 * of its headers (or NULL). target is fine (request/target.h). -EINVAL: they do not fit. */
int request_pass(struct request *request, const struct config_backend *backend,
                 const struct config_route *route, const char *method, const char *target, const char *accept,
                 const char *authorization);

void request_done(struct request *request); /* frees the memory */

#endif
