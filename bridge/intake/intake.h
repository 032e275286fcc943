/* intake/intake.h - the one door in: routes, stamps and stores what an edge brings.
 *
 * An edge calls intake_begin, intake_take for each message, intake_commit; only
 * when that returned 0 may it acknowledge. When its acknowledgements are out it
 * calls intake_released, and delivery may begin: so a message is never
 * delivered, and deleted, before its sender knows that it was stored.
 */
#ifndef SLUICE_INTAKE_H
#define SLUICE_INTAKE_H

#include "base/metrics.h"
#include "config/route_table.h"
#include "intake/devices.h"
#include "queue/queue.h"

struct intake;

typedef void intake_released_fn(void *context);

/* Keeps everything that it is given. */
struct intake *intake_new(struct queue *queue, const struct config *config, struct metrics *metrics,
                          intake_released_fn *released, void *context);
void intake_free(struct intake *intake); /* takes NULL */

/* Another configuration; not between begin and commit. */
void intake_reconfigure(struct intake *intake, const struct config *config);
const struct route_table *intake_routes(const struct intake *intake);

struct intake_message {
    const char *topic;
    const char *source; /* as in message/message.h */
    const void *payload;
    size_t payload_bytes;
    bool retained;
    int packet_id;
    bool late; /* see message/message.h */
    const struct route_copy *copy;
};

int intake_begin(struct intake *intake); /* 0, -EBUSY: try again later, -Exxx */
/* Stores it once for every route that it serves, and says whether there is one. A
 * failure shows in the commit. */
enum intake_fate {
    INTAKE_STORED,
    INTAKE_AGAIN,    /* it was stored before: a reading that its device sent again */
    INTAKE_DROPPED,  /* for all of its routes: the queue is full (when_full) */
    INTAKE_AHEAD,    /* a reading too far in front of one that is missing; for a route that numbers them */
    INTAKE_UNROUTED, /* or retained, and no route wants those */
};
enum intake_fate intake_take(struct intake *intake, const struct intake_message *message);
/* An HTTP request. Its topic, which stands for its place in the order of messages, is
 * the client's address and the path. */
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
/* Stores it, and gives its key. -EEXIST: it is the repetition, under the same key of the
 * client's, of one that is queued already; not stored again, and as good. -ENOSPC: it is
 * not stored, for a limit says so (when_full), and is counted as dropped. Another failure
 * shows in the commit. */
int intake_take_request(struct intake *intake, const struct intake_request *request,
                        char ret_key[static MESSAGE_KEY_BYTES]);
/* 0 when all of it is on disk; otherwise none of it is kept. */
int intake_commit(struct intake *intake);
/* After a commit, and before acknowledgements are let out: calls visit with what
 * devices are to be told, to be sent along with those (see intake/devices.h). */
void intake_acks(struct intake *intake, intake_ack_fn *visit, void *context);
void intake_released(struct intake *intake);
/* For the metrics: for so long the database was locked by another process. */
void intake_waited(struct intake *intake, int64_t waited_ms);

#endif
