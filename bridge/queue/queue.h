/* queue/queue.h - the one place where messages rest.
 *
 * The life of a message is drawn in schema/001_queue.sql. In calls:
 *
 *   queue_begin ── queue_append... ── queue_commit    it is stored, durably
 *   queue_scan, queue_fetch                           what is stored
 *   queue_settle                                      it was delivered: its row is deleted
 *       by the next commit, or by queue_settle_commit
 *   queue_blame                                       it failed by its own fault
 *   queue_defer                                       it failed alone: it is deferred, which means
 *       that it left its order and is tried again by itself
 *   queue_dead_letter                                 it was rejected, or failed too often
 *   queue_return; of another process: queue_admin_retry    it waits again
 *
 * Nothing here waits for a lock: if another process holds it, a function returns -EBUSY, and
 * the caller tries again later, by a timer. -ENOSPC, -EIO, -EROFS and -EBADMSG (damaged) mean
 * that the storage fails; the log has SQLite's message. One process at a time can store
 * messages (queue_open takes a lock file). Wall clocks and uptimes are in ms.
 */
#ifndef SLUICE_QUEUE_H
#define SLUICE_QUEUE_H

#include "base/base.h"
#include "config/config.h"
#include "message/device.h"
#include "message/message.h"
#include <sys/queue.h>

struct queue;

/* Opens or creates the database, applies new migrations, and starts a run. The directory must
 * exist. A damaged database is kept under another name, and what can be read of it is copied
 * into a new one (queue/salvage/salvage.h). Errors, with *ret_why (what is wrong and what to
 * do, freed by the caller): -EBUSY another sluice has it; -EPROTONOSUPPORT it is of a newer
 * sluice; -EEXIST it is another program's; others as errno. */
int queue_open(const char *path, struct queue **ret, char **ret_why);
/* Deletes settled messages, makes a checkpoint, and closes. Takes NULL. */
void queue_close(struct queue *queue);

/* ---- storing (queue/append.c) ---- */

/* queue_begin takes the write lock. After a failed queue_append, only queue_rollback makes
 * sense. queue_commit returns 0 when all appended messages are on the disk; otherwise the
 * transaction was rolled back. */
int queue_begin(struct queue *queue);
int queue_append(struct queue *queue, const struct message *message, int64_t *ret_id);
int queue_commit(struct queue *queue);
/* Whether the open transaction stores anything; otherwise queue_commit discards it. */
bool queue_stores(const struct queue *queue);
void queue_rollback(struct queue *queue);
/* Finds out whether a commit would work now: writes to the disk, and changes nothing. */
int queue_trial_commit(struct queue *queue);
/* Looks for a message that the same client sent as the same request under the same key of its
 * own; only the member "age" may be different. *ret_id: that message, or 0. */
int queue_find_repeated(struct queue *queue, const struct message *message, int64_t *ret_id);
/* The idempotency key of a message that was appended in the current run. */
void queue_key(const struct queue *queue, int64_t id, char key[static MESSAGE_KEY_BYTES]);
/* The highest id that was committed, or was there when the queue was opened; 0: none. */
int64_t queue_last_id(const struct queue *queue);

/* In an open transaction (queue/devices.c): the state of the device with this ack_topic, and for
 * how many ms it was silent; 0 or -ENOENT. And its new state; errors as of queue_append. */
int queue_device(struct queue *queue, const char *ack_topic, struct device *ret, int64_t *ret_silent_ms);
int queue_device_save(struct queue *queue, const char *ack_topic, const char *route,
                      const struct device *device);
/* In an open transaction, after new devices: of more than QUEUE_DEVICES, deletes those that were
 * silent longest. What such a device sends again is stored again. */
enum { QUEUE_DEVICES = 10000 };
int queue_devices_prune(struct queue *queue);

/* ---- reading (queue/read.c) ---- */

/* Calls visit for the messages with after < id <= up_to, in the order of ids, at most `limit`
 * of them; payloads are not read. Strings are valid during the call. Returns the number of
 * messages or -Exxx. visit must not use the queue, except as the comments below allow. */
typedef void queue_visit_fn(void *context, int64_t id, const char *route, const char *topic, bool deferred);
int queue_scan(struct queue *queue, int64_t after, int64_t up_to, int limit, queue_visit_fn *visit,
               void *context);
/* The same for the newest messages with id <= up_to, newest first. */
int queue_scan_newest(struct queue *queue, int64_t up_to, int limit, queue_visit_fn *visit, void *context);
/* The same for the deferred messages with id > after, with the number of their failed attempts. */
typedef void queue_visit_deferred_fn(void *context, int64_t id, const char *route, unsigned attempts);
int queue_scan_deferred(struct queue *queue, int64_t after, int limit, queue_visit_deferred_fn *visit,
                        void *context);

/* Reads one message. Its pointers are valid until queue_fetch_done. -ENOENT: it is gone
 * (a person dropped it). */
int queue_fetch(struct queue *queue, int64_t id, struct message *ret);
void queue_fetch_done(struct queue *queue);

/* A copy of a message in one piece of memory, freed by the caller with free(); NULL when it is
 * long. A visit may call it, where it costs least. */
struct queue_copy;
struct queue_copy *queue_copy(struct queue *queue, int64_t id);
/* The copied message as queue_fetch would return it; its pointers belong to the copy. -ESTALE:
 * its row may have changed since; fetch it. */
int queue_copied(struct queue *queue, const struct queue_copy *copy, struct message *ret);
/* Copies become stale if another process changed the queue. Call it before copies are used, once
 * in each turn of the loop. */
void queue_refresh(struct queue *queue);

/* If another process retried messages (queue_admin_retry) since the last call: the lowest id of
 * these, from which the queue must be read again; otherwise 0. Logs that, and how many messages
 * another process dropped. Costs little when nobody changed the queue. */
int64_t queue_rescan_take(struct queue *queue);

/* ---- delivered messages (queue/settle.c; queue/confirm.h) ---- */

/* The message was delivered. This is only remembered: if the process dies before the delete is
 * committed, the message is delivered again under the same key. may_come_again: the broker may
 * send it again until it is confirmed (MQTT). */
void queue_settle(struct queue *queue, int64_t id, bool may_come_again);
/* How many may be deleted now; how many only after they are confirmed. */
size_t queue_settled_count(struct queue *queue);
size_t queue_unconfirmed_count(struct queue *queue);
/* A visit may call it. */
bool queue_is_settled(struct queue *queue, int64_t id);
/* Deletes them in a transaction of its own that does not sync, at most the `most` oldest: these
 * are adjacent, so each page of the table is written once. */
int queue_settle_commit(struct queue *queue, size_t most);

/* ---- messages that fail (queue/blame.c) ---- */

/* Stores a failure that is the message's own fault: how many attempts failed now, the status and
 * message of the response (status 0: there was none; error may be NULL), and when. It is added
 * to the history too (message/history.h). */
int queue_blame(struct queue *queue, int64_t id, unsigned attempts, int status, const char *error,
                int64_t wall_ms);
/* The message is deferred from now on. -ENOENT: it is gone. */
int queue_defer(struct queue *queue, int64_t id);
/* Whether it is, still: a person can end it (queue_admin_retry). True if that cannot be read. */
bool queue_is_deferred(struct queue *queue, int64_t id);
/* Makes it a dead letter, and drops the oldest ones where max_dead is exceeded. reason is one word.
 * 0, or -ENOENT: it is gone. */
int queue_dead_letter(struct queue *queue, int64_t id, unsigned attempts, int status, const char *reason,
                      const char *error, int64_t wall_ms);
/* Notes that a person has listed all dead letters of now. */
int queue_dead_seen(struct queue *queue);
/* The same in an open transaction, for a message that was appended in it. */
int queue_dead_letter_now(struct queue *queue, int64_t id, const char *reason, const char *error);
/* The route is held, because these messages were rejected in a row; or, with a count of 0, no
 * longer. */
int queue_hold_route(struct queue *queue, const char *route, const int64_t *ids, size_t count);
/* Calls visit for each of these messages that is a dead letter still. It must not use the queue. */
typedef void queue_visit_held_fn(void *context, int64_t id, const char *route);
int queue_held_each(struct queue *queue, queue_visit_held_fn *visit, void *context);
/* Makes a dead letter a message again: the same id and key, no attempts, not deferred. -ENOENT:
 * there is no dead letter with this id. */
int queue_return(struct queue *queue, int64_t id);

/* ---- limits (queue/limits.c, queue/drop.c, queue/dropped.c) ---- */

/* Copies the limits of the configuration. Before the first call there are none. */
void queue_limit(struct queue *queue, const struct config_queue *config);
/* Why the queue is full, in one word: "max_size", "max_messages", "min_free", or "storage" while
 * commits fail; NULL: it has room. A full queue needs a few per cent of room before it has
 * room again. */
const char *queue_full(struct queue *queue);
/* The same, but NULL where when_full drops messages instead, and that helps. While it is not
 * NULL, the edges take in nothing. */
const char *queue_hold(struct queue *queue);
/* For people, freed by the caller: why it is full ("max_size 1G"); what fills it ("312 messages wait,
 * 20 dead letters take 1.2 MB"); how much of the limits is used. */
char *queue_full_text(struct queue *queue);
char *queue_filling_text(struct queue *queue);
char *queue_room_text(struct queue *queue);
/* How many messages wait; -1: they are being counted. */
int64_t queue_waiting(const struct queue *queue);
/* A commit failed, and none succeeded since. queue_trial_commit finds out more. */
bool queue_fails(const struct queue *queue);
/* In an open transaction, before a message with such a payload is stored. Drops and counts dead
 * letters while the queue is nearly full; with when_full = drop-oldest, also the oldest messages that
 * are not in flight, until the new one has room. -ENOSPC: nothing is left to drop. */
int queue_make_room(struct queue *queue, size_t payload_bytes);
/* In an open transaction: counts a message that is not stored. reason is one word; route may be
 * NULL. */
int queue_count_dropped(struct queue *queue, const char *reason, const char *route, size_t payload_bytes);
/* How many messages limits dropped since the queue was opened. */
uint64_t queue_dropped(const struct queue *queue);

/* How long ago the message was received, in ms; negative: not known. */
int64_t queue_age_ms(const struct queue *queue, const struct message *message);
/* Whether the expiry that its sender gave it is over (queue/expiry.c). queue_expire drops it, and
 * others that expired. The message must not be in flight. */
bool queue_is_expired(struct queue *queue, const struct message *message);
int queue_expire(struct queue *queue, int64_t id);

/* Messages in flight, in one request: no limit drops them until queue_unclaim. The caller owns the
 * memory, and does not change it meanwhile. */
struct queue_claim {
    const int64_t *ids; /* ascending */
    size_t count;
    bool expired; /* one of them became too old meanwhile: queue_unclaim drops it */
    LIST_ENTRY(queue_claim) others;
};
void queue_claim(struct queue *queue, struct queue_claim *claim, const int64_t *ids, size_t count);
void queue_unclaim(struct queue *queue, struct queue_claim *claim);
bool queue_is_claimed(const struct queue *queue, int64_t id);

/* ---- upkeep (queue/upkeep.c) ---- */

/* To be called about once a second, or seldom while the queue is at rest. Does a bounded step of each of these: drops messages that are
 * too old, returns free space to the disk, makes the reserve again, looks for readers that
 * keep the write-ahead log growing. quiet: nothing else is going on. Returns whether the queue is at rest:
 * no message waits, and no step is left to do. */
bool queue_upkeep(struct queue *queue, bool quiet);
/* Gives memory back. */
void queue_trim(struct queue *queue);
/* Sets a problem for the view `summary`: name is "storage", "full", "reader", "kept" or
 * "clock", description is what is wrong and what to do; NULL: it is over. It is written as soon as
 * that is possible; the same description again writes nothing. */
void queue_problem_set(struct queue *queue, const char *name, const char *description);
/* Calls visit for each problem of now, also for those that cannot be written. It must not use the
 * queue. */
typedef void queue_visit_problem_fn(void *context, const char *name, int64_t since_ms,
                                    const char *description);
void queue_problems_each(const struct queue *queue, queue_visit_problem_fn *visit, void *context);
/* SQLite found damage, or the files were deleted or replaced while they are open: call queue_reopen. */
bool queue_is_damaged(const struct queue *queue);
bool queue_is_lost(const struct queue *queue);
/* Salvages the database into a new one, or saves what the lost files have into a new one, and starts a new
 * run. Settled and confirmed messages are
 * still known. Takes longer the larger the database is. After a failure of a
 * salvage, an empty database that stores nothing stands in until the next call; lost files stay open. */
int queue_reopen(struct queue *queue, char **ret_why);

/* ---- clock (queue/clock.c) ---- */

/* The wall clock may have become synchronised, or stepped: if so, repairs the times of the runs
 * of this boot. 0, -EBUSY: again later, -Exxx. */
int queue_clock_changed(struct queue *queue);
/* The times of messages that are received now can be trusted, and queue_now_ms is what the wall
 * clock should show, even if a person sets it to something else. */
bool queue_clock_is_right(const struct queue *queue);
int64_t queue_now_ms(const struct queue *queue);
/* At this uptime the broker had no message left for us: a late message is not older. */
void queue_drained_set(struct queue *queue, int64_t uptime_ms);
/* The same as a time of the wall clock; 0: not known. */
int64_t queue_drained_wall_ms(const struct queue *queue);

/* ---- subscriptions (queue/subscriptions.c) ---- */

/* A subscription that the broker has, or may still have messages for. */
struct subscription {
    const char *filter;
    uint32_t identifier; /* 1 to 268,435,455 (MQTT 5.0, section 3.8.2.1.2) */
    bool granted;
    bool vanished;       /* the configuration no longer has it */
    uint32_t covered_to; /* the highest identifier when it vanished */
    bool unsubscribed;
    bool matched; /* a message matched it once */
};
typedef void queue_subscription_fn(void *context, const struct subscription *subscription);
int queue_subscriptions(struct queue *queue, queue_subscription_fn *visit, void *context);
/* Stores it under a new identifier, unless it is stored already. */
int queue_subscription_add(struct queue *queue, const char *filter);
int queue_subscription_grant(struct queue *queue, const char *filter, bool granted);
int queue_subscription_matched(struct queue *queue, const char *filter);
int queue_subscription_vanish(struct queue *queue, const char *filter);
int queue_subscription_unsubscribed(struct queue *queue, const char *filter);

/* ---- the session at the broker (queue/session.c) ---- */

/* Times are of the wall clock; 0: the broker never forgot it. */
struct queue_session {
    int protocol;    /* of its last connection: 4 is MQTT 3.1.1, 5 is MQTT 5 (section 3.1.2.2 of both) */
    bool reuses_ids; /* the broker gives a packet identifier anew as soon as it is free */
    int64_t lost_since_ms;
    int64_t lost_until_ms;
    const char *broker; /* host:port of its last connection; it is only stored */
    int64_t expiry_s;   /* how long the broker keeps it; 0: for ever, or as the broker likes */
};
/* Reads it; -ENOENT: with this client_id, sluice was never connected to this broker, or to another one
 * since. Stores it, in a commit that syncs. Stores it in the open transaction. */
int queue_session(struct queue *queue, const char *client_id, const char *broker, struct queue_session *ret);
int queue_session_save(struct queue *queue, const char *client_id, const struct queue_session *session);
void queue_session_put(struct queue *queue, const char *client_id, const struct queue_session *session);
/* At the start: this client_id is in use, and the sessions of others are left behind. */
int queue_session_use(struct queue *queue, const char *client_id);

/* ---- copies of a message (queue/append.c; mqtt/copies.h) ---- */

enum { QUEUE_COPIES_MOST = 32 };
/* Which subscriptions the copies of the last message named. */
struct queue_copies {
    uint64_t digest; /* of the message: replay_digest */
    uint32_t named[QUEUE_COPIES_MOST];
    unsigned named_count; /* 0: there is none */
};
/* In an open transaction, which stores it; NULL: there is none. */
void queue_last_copies_set(struct queue *queue, const struct queue_copies *copies);
void queue_last_copies(struct queue *queue, struct queue_copies *ret);

#endif
