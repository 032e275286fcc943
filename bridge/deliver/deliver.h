/* deliver/deliver.h - the engine: claims messages, sends them, and acts on the responses.
 *
 * Each backend is a destination with a budget of requests in flight; each route has 64 lanes. A
 * lane is first in, first out, with one request in flight, so order per key holds through outages,
 * retries, crashes and reloads.
 *
 *              ┌───────────────────── 2xx ──────────────────► deleted
 *      ┌──────────────┐                              ▲
 *      │ waits in its │  failed twice while  ┌──────────┐  max_attempts  ┌─────────────┐
 *      │     lane     │ ──── others passed ─►│ deferred │ ──────────────►│ dead letter │
 *      └──────────────┘                      └──────────┘                └─────────────┘
 *              └─────────────────── rejected (400 ...) ──────────────────────►
 *
 * A deferred message is tried again by itself: only it may be overtaken, or a message that failed
 * when others were tried, to learn who is at fault. No backend waits for another.
 */
#ifndef SLUICE_DELIVER_H
#define SLUICE_DELIVER_H

#include "base/metrics.h"
#include "config/config.h"
#include "queue/queue.h"
#include "text/status.h"
#include <uv.h>

struct deliver;

/* Keeps everything that it is given; starts with what is in the queue. */
struct deliver *deliver_new(uv_loop_t *loop, struct queue *queue, const struct config *config,
                            struct metrics *metrics);

/* Messages up to queue_last_id are committed, and their acknowledgements are
 * out: they may be delivered. */
void deliver_released(struct deliver *deliver);

/* Another process brought messages back, with this id or higher ones. */
void deliver_look_again(struct deliver *deliver, int64_t lowest);

/* Something changed that may have ended an outage: what is away is tried now, unless the backend asked
 * for its pause. If that fails, the next pause is as long as it would have been. only_unreached: not
 * those that were reached and failed. Returns whether anything is tried. (deliver/round.c) */
bool deliver_try_early(struct deliver *deliver, bool only_unreached);

/* Starts nothing more; calls idle, from the loop, when no request is in flight.
 * to_end: not before what was stored until now is confirmed (see queue_confirm),
 * and what was delivered is deleted. */
typedef void deliver_idle_fn(void *context);
void deliver_pause(struct deliver *deliver, bool to_end, deliver_idle_fn *idle, void *context);

/* Starts over with another configuration (or the same): what is in flight is
 * dropped and will be sent again under the same keys, suspicions are forgotten.
 * The old configuration is no longer used on return. */
void deliver_restart(struct deliver *deliver, const struct config *config);

/* Deletes what was delivered now, and not within a second, so that who counts the queue does not count it.
 * (deliver/settle.c) */
void deliver_settle(struct deliver *deliver);

/* Each backend's and each route's state, since when, why, until when; appended to two
 * arrays (deliver/status.c). */
void deliver_describe(const struct deliver *deliver, struct cJSON *backends, struct cJSON *routes);

/* Takes NULL. Memory is freed when the loop has run once more. */
void deliver_free(struct deliver *deliver);

#endif
