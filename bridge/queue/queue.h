/* queue/queue.h - the one place where messages rest, and the only SQL.
 *
 * The life of a message is drawn in schema/001_queue.sql. In calls:
 *
 *   queue_begin ── queue_append... ── queue_commit      in, durable on return
 *   queue_scan, queue_fetch                             what is there
 *   queue_settle                                        delivered: remembered, and
 *       deleted by the next commit or by queue_settle_commit, whichever is first
 *   queue_blame                                         a failure is its own fault
 *   queue_dead_letter                                          set aside
 *
 * Nothing here waits for a lock: where another process holds it, -EBUSY comes
 * back and the caller tries again later, by a timer. -ENOSPC, -EIO, -EROFS and
 * -EBADMSG (corrupt) tell of storage that fails; the log has SQLite's words.
 * There is one writer of messages at a time (queue_open takes a lock file).
 */
#ifndef SLUICE_QUEUE_H
#define SLUICE_QUEUE_H

#include "base/base.h"
#include "config/config.h"
#include "message/device.h"
#include "message/message.h"
#include "queue/salvage/salvage.h"
#include <sys/queue.h>

struct queue;

/* Opens or creates the database, brings its schema up to date, and starts a run.
 * The directory must exist. A damaged database is set aside, and what can be read
 * of it salvaged into a new one (queue/salvage/salvage.h). Errors, in *ret_why in words with
 * what to do (freed by the caller): -EBUSY another sluice has it; -EPROTONOSUPPORT
 * the database is from a newer sluice; -EEXIST it is another program's; others as
 * errno. */
int queue_open(const char *path, struct queue **ret, char **ret_why);
/* Commits what is settled, makes a checkpoint, and closes. Takes NULL. */
void queue_close(struct queue *queue);

/* Intake. begin takes the write lock: 0 or -EBUSY etc. After a failed append,
 * only rollback makes sense. commit returns 0 when everything appended is on
 * disk; otherwise the transaction was rolled back. */
int queue_begin(struct queue *queue);
int queue_append(struct queue *queue, const struct message *message, int64_t *ret_id);
/* Whether the same request is in the queue, from the same client under the same key of
 * its own, save what its member "age" says: *ret_id, or 0. */
int queue_find_repeated(struct queue *queue, const struct message *message, int64_t *ret_id);
/* The idempotency key of what was appended in this run. */
void queue_key(const struct queue *queue, int64_t id, char key[static MESSAGE_KEY_BYTES]);
int queue_commit(struct queue *queue);
void queue_rollback(struct queue *queue);
/* Whether a commit would work now: writes a row and syncs, then removes it. */
int queue_trial_commit(struct queue *queue);
/* In an open transaction: what is known of the device that is answered on this topic,
 * and for how many ms it was silent, 0 or -ENOENT; and what has become of it, -Exxx as
 * with queue_append. */
int queue_device(struct queue *queue, const char *ack_topic, struct device *ret, int64_t *ret_silent_ms);
int queue_device_save(struct queue *queue, const char *ack_topic, const char *route,
                      const struct device *device);
/* Likewise, after new ones: of more than QUEUE_DEVICES those that were silent longest are
 * forgotten. What such a one sends again is stored again. */
enum { QUEUE_DEVICES = 10000 };
int queue_devices_prune(struct queue *queue);
/* The highest id that a commit made durable in this run, or that was there when
 * it was opened; 0 when there is none. */
int64_t queue_last_id(const struct queue *queue);

/* ---- limits (queue/limits.c) ---- */

/* The limits of the configuration, which it keeps; in force from now on. Until
 * it is called there are none. */
void queue_limit(struct queue *queue, const struct config_queue *config);
/* What is full, as one word for people, or NULL when there is room for more: "max_size",
 * "max_messages", "min_free", or "storage" while commits fail. Has hysteresis: once
 * full, it takes a few per cent of room before there is room again. */
const char *queue_full(struct queue *queue);
/* The same, but NULL where when_full says that messages are dropped instead, and that
 * helps: whatever it returns, the edges read nothing more until it is NULL again. */
const char *queue_hold(struct queue *queue);
/* Whether when_full says drop-oldest. */
bool queue_drops_oldest(const struct queue *queue);
/* For people, to be freed: what is full ("max_size 1G"); how much is used of what
 * may be. */
char *queue_full_text(struct queue *queue);
char *queue_room_text(struct queue *queue);
/* How many messages wait, where that is known; otherwise -1: they are being counted. */
int64_t queue_waiting(const struct queue *queue);
/* Whether a commit failed, and no other succeeded since: queue_trial_commit is for
 * finding out whether one would. */
bool queue_fails(const struct queue *queue);
/* In an open transaction: makes room for a message of so many bytes by dropping
 * the oldest that are not under way (when_full = drop-oldest), counts them.
 * -ENOSPC when there is nothing left to drop. */
int queue_make_room(struct queue *queue, size_t bytes);
/* In an open transaction: counts a message that is not stored. The count is as durable
 * as the commit. reason is one word; route may be NULL. */
int queue_count_dropped(struct queue *queue, const char *reason, const char *route, size_t bytes);
/* How many messages limits dropped since it was opened. */
uint64_t queue_dropped(const struct queue *queue);
/* Messages under way to the backend in one request: no limit touches them until
 * they come back. The memory is the caller's, and stays what it is meanwhile. */
struct queue_claim {
    const int64_t *ids; /* ascending */
    size_t count;
    bool expired; /* one of them, meanwhile: it goes when it comes back */
    LIST_ENTRY(queue_claim) others;
};
void queue_claim(struct queue *queue, struct queue_claim *claim, const int64_t *ids, size_t count);
void queue_unclaim(struct queue *queue, struct queue_claim *claim);
bool queue_is_claimed(const struct queue *queue, int64_t id);

/* ---- upkeep (queue/upkeep.c) ---- */

/* Called about once a second, with whether little goes on: one bounded step of
 * what is due: drops what is too old, returns free space to the disk, makes the
 * reserve again, looks for readers that keep the write-ahead log growing. */
void queue_upkeep(struct queue *queue, bool quiet);
/* Whether it found or was told (SQLITE_CORRUPT) that the database is damaged: then it
 * must be closed and opened again, which salvages it. */
bool queue_is_damaged(const struct queue *queue);
/* Does that: what can be read is in a new database on return, what was settled and
 * confirmed is still known, and a new run began. Takes as long as the database is
 * large; progress (may be NULL) is called every now and then. On failure an empty
 * database stands in, in which nothing can be stored, until a later try. */
int queue_reopen(struct queue *queue, salvage_progress_fn *progress, void *context, char **ret_why);
/* Reports a problem for the view `summary`: name is one word ("storage", "full", "reader",
 * "clock"), description is what is wrong and what to do; NULL: it is over. It is written
 * as soon as that is possible; the same description again writes nothing. */
void queue_problem_set(struct queue *queue, const char *name, const char *description);

/* ---- clock (queue/clock.c) ---- */

/* The wall clock may have become synchronised, or stepped: repairs the times of the
 * runs of this boot, if so. 0, -EBUSY: again later, -Exxx. */
int queue_clock_changed(struct queue *queue);
/* Whether the times of what is received now can be trusted; then queue_now_ms is
 * what the wall clock should show. Both hold when somebody sets it by hand. */
bool queue_clock_is_right(const struct queue *queue);
int64_t queue_now_ms(const struct queue *queue);
/* At this uptime the sender had nothing left that was not stored: a lower bound
 * of the time of messages that are late. */
void queue_drained_set(struct queue *queue, int64_t uptime_ms);

/* ---- reading ---- */

/* Calls visit for the messages with after < id <= up_to in the order of ids, at
 * most limit of them; payloads are not touched. Strings are valid during the
 * call only. Returns the number visited or -Exxx. visit must not use the queue. */
typedef void queue_visit_fn(void *context, int64_t id, const char *route, const char *topic);
int queue_scan(struct queue *queue, int64_t after, int64_t up_to, int limit, queue_visit_fn *visit,
               void *context);

/* A copy of a message, in one piece of memory for the caller to free(); NULL when
 * it is long. May be called in a visit, where it costs least. */
struct queue_copy;
struct queue_copy *queue_copy(struct queue *queue, int64_t id);
/* The copied message, as queue_fetch would give it; the pointers are the copy's.
 * -ESTALE when its row may have changed since; then fetch it. */
int queue_copied(struct queue *queue, const struct queue_copy *copy, struct message *ret);
/* Notes whether another process changed the queue, which makes copies stale. To
 * be called before copies are used, once each time the loop comes round. */
void queue_refresh(struct queue *queue);

/* The lowest id of the messages that a person brought back from the dead letters since
 * the last call (queue_admin_retry, in another process); 0: none. Tells the log of that,
 * and of what such a process dropped. Costs little when nobody changed the queue. */
int64_t queue_rescan_take(struct queue *queue);

/* Reads one message. Its pointers are valid until queue_fetch_done. -ENOENT when
 * it is gone (a person dropped it). */
int queue_fetch(struct queue *queue, int64_t id, struct message *ret);
void queue_fetch_done(struct queue *queue);

/* Delivered. Only remembers it; when the process dies before the delete was
 * committed, the message is delivered again under the same key. may_come_again: its
 * sender may send it again until it is confirmed (MQTT). */
void queue_settle(struct queue *queue, int64_t id, bool may_come_again);
/* How many are remembered and may be deleted now; how many must wait until they
 * are confirmed. */
size_t queue_settled_count(struct queue *queue);
size_t queue_unconfirmed_count(struct queue *queue);
/* Whether this one is among either; may be asked in a visit. */
bool queue_is_settled(struct queue *queue, int64_t id);
/* Deletes them in a transaction of their own that does not sync: all of them, or
 * the `most` oldest. The oldest lie close together; deleting only those touches
 * each page of the table once. */
int queue_settle_commit(struct queue *queue, size_t most);
/* Gives memory back. */
void queue_trim(struct queue *queue);

/* Notes a failure that is the message's own: attempts, what the backend said
 * (status 0: there was no response; error may be NULL), and when; also in its history
 * (message/history.h). */
int queue_blame(struct queue *queue, int64_t id, unsigned attempts, int status, const char *error,
                int64_t wall_ms);
/* Moves it to the dead letters, with its history. reason is one word. 0, or -ENOENT when it is gone. */
int queue_dead_letter(struct queue *queue, int64_t id, unsigned attempts, int status, const char *reason,
                      const char *error, int64_t wall_ms);

/* Subscriptions that the broker holds, or may still have messages for. */
struct subscription {
    const char *filter;
    uint32_t identifier; /* 1 to 268,435,455 (MQTT 5.0, section 3.8.2.1.2) */
    bool granted;
    bool vanished;       /* the configuration no longer has it: */
    uint32_t covered_to; /* the highest identifier when it vanished */
    bool unsubscribed;
};
typedef void queue_subscription_fn(void *context, const struct subscription *subscription);
int queue_subscriptions(struct queue *queue, queue_subscription_fn *visit, void *context);
/* Makes it known under a new identifier, unless it is known already. */
int queue_subscription_add(struct queue *queue, const char *filter);
int queue_subscription_grant(struct queue *queue, const char *filter, bool granted);
int queue_subscription_vanish(struct queue *queue, const char *filter);
int queue_subscription_unsubscribed(struct queue *queue, const char *filter);

#endif
