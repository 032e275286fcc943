/* intake/intake.h - the one way in: finds the routes of a message, checks the limits, and
 * stores it. Edges reach it through a batch (intake/batch.h).
 */
#ifndef SLUICE_INTAKE_H
#define SLUICE_INTAKE_H

#include "base/metrics.h"
#include "config/route_table.h"
#include "intake/devices.h"
#include "queue/queue.h"

struct intake;

/* Deliveries may begin: see batch_release. */
typedef void intake_released_fn(void *context);

/* Keeps everything that it is given. */
struct intake *intake_new(struct queue *queue, const struct config *config, struct metrics *metrics,
                          intake_released_fn *released, void *context);
void intake_free(struct intake *intake); /* takes NULL */

/* Another configuration; not while a batch is open. */
void intake_reconfigure(struct intake *intake, const struct config *config);
const struct route_table *intake_routes(const struct intake *intake);

struct intake_message {
    const char *topic;
    const char *source; /* as in message/message.h */
    const void *payload;
    size_t payload_bytes;
    const char *content_type; /* or NULL */
    const char *properties;   /* see message/message.h */
    int64_t expires_after_ms;
    bool retained;
    int packet_id;
    bool late; /* see message/message.h */
    const struct route_copy *copy;
    const char *unfit; /* it is stored as a dead letter, for this reason; or NULL */
};

enum intake_fate {
    INTAKE_STORED,
    INTAKE_AGAIN,    /* it is stored already: a reading that its device sent again */
    INTAKE_DROPPED,  /* for all of its routes: the queue is full (when_full) */
    INTAKE_AHEAD,    /* a reading too far ahead of one that is missing (ack_topic) */
    INTAKE_UNROUTED, /* no route takes the topic; or its routes leave it out, or it is retained, and
                        they take no such message */
};
/* Stores the message once for every route that takes it. A failure shows in the commit.
 * Edges call batch_take. */
enum intake_fate intake_take(struct intake *intake, const struct intake_message *message);

/* An HTTP request. Its topic, which gives its place in the order of messages, is the
 * client's address and the path. */
struct intake_request {
    const char *route;
    const char *topic;
    const char *method;
    const char *target;
    const char *content_type;    /* or NULL */
    const char *idempotency_key; /* the client's own, at most MESSAGE_KEY_BYTES, or NULL */
    const void *payload;
    size_t payload_bytes;
};
/* Stores the request, and gives its key. -EEXIST: the same request under the same key of the
 * client's is in the queue already; it is not stored again, and the key is that one's.
 * -ENOSPC: it is not stored, because of a limit (when_full), and counted as dropped. Another
 * failure shows in the commit. Edges call batch_take_request. */
int intake_take_request(struct intake *intake, const struct intake_request *request,
                        char ret_key[static MESSAGE_KEY_BYTES]);

/* After a commit, and before its acknowledgements are sent: calls visit with each
 * acknowledgement of readings that is due, to be sent with those (see intake/devices.h). */
void intake_acks(struct intake *intake, intake_ack_fn *visit, void *context);

#endif
