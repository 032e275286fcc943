/* request.h - what is sent for a message: URL, headers, body. Pure.
 *
 * Made at delivery, not at receipt, so that a mended configuration heals what is
 * queued. No part of it can leave the backend's base URL or add a header: the
 * path comes from path.h, and what a header quotes from a topic is
 * percent-encoded (and left out where that makes more than 4 KiB).
 *
 * Of a message's time, the backend is told:
 *
 *   Sluice-Received: 2026-11-22T17:33:16.123Z    when sluice received it
 *   Sluice-Age: 212                              so many ms ago, by a clock that nobody sets;
 *                                                left out where that is not known
 *   Sluice-Clock: unsynchronised                 where the clock was not right, and these are
 *                                                no dates to rely on: the present less the age
 *                                                is, and so are differences between messages
 *                                                of one sluice that are close to each other
 *   Sluice-Late: since 2026-11-22T16:01:00.000Z  where it waited at the broker while sluice was
 *                                                away: published between then and its receipt
 */
#ifndef SLUICE_REQUEST_H
#define SLUICE_REQUEST_H

#include "base.h"
#include "buf.h"
#include "config.h"
#include "message.h"

/* All header lines together; values come from the configuration. */
#define REQUEST_HEADERS_BYTES ((size_t)256 * 1024)

struct request {
    struct buf url;
    struct buf headers; /* "Name: value" lines, each with a NUL behind it */
    const void *body;   /* the message's payload: not owned */
    size_t body_bytes;
};

/* Fills *request, which the caller ends with request_done, also after a failure;
 * one that was ended, or is all zero, may be filled again, and keeps its memory.
 * age_ms: since receipt, negative when it is not known. Returns 0, or -EINVAL
 * when the topic's levels cannot be used in the path, with the reason in
 * *ret_why (freed by the caller). */
int request_make(struct request *request, const struct config_backend *backend,
                 const struct config_route *route, const struct message *message, int64_t age_ms,
                 char **ret_why);
void request_done(struct request *request); /* lets the memory go */

#endif
