/* queue/confirm.h - which messages has the broker read our acknowledgement of?
 *
 * When a connection ends, the broker sends again each message whose acknowledgement it has
 * not read. We must recognise such a redelivery, even after a crash, and even when the message
 * was delivered meanwhile. So until the broker has read the
 * acknowledgement, we keep what identifies the message:
 *
 *     a message is | its id is                   | when it was delivered,  | a redelivery is
 *                  |                             | its row is              | recognised by
 *     -------------+-----------------------------+-------------------------+-----------------
 *     confirmed    | up to the confirmed id      | deleted                 | (none comes)
 *     released     | above it, up to the         | deleted, leaving a      | its fingerprint
 *                  | released id                 | fingerprint             |
 *     awaited      | above both                  | kept                    | its row
 *
 * A row that a limit or a person drops before it is confirmed leaves a fingerprint too, in the
 * same transaction: all deletes are made by queue_rows_delete, or keep the fingerprints
 * themselves (queue/dead.c for dead letters, queue/admin/change.c). And so does a message that is
 * acknowledged without a row: another copy of one, or one for which the queue has no room
 * (queue_append_fingerprint). So each message that was routed, acknowledged and not confirmed is
 * known. (Not so a message without a route: it leaves nothing, and if it comes again, it has no
 * route again, except after a change of the configuration.)
 *
 * A salvage may lose rows, and it copies no fingerprints: one that is out of date could make a new
 * message be taken for a redelivery, and be lost. It leaves one fingerprint with packet
 * identifier 0, under the highest id of then. Until that is confirmed, a message that is not known
 * may have been one of the lost (queue_was_salvaged). It is stored again.
 *
 * Both ids only grow. The table in mqtt/redelivery.h has what confirms messages (queue_confirm);
 * where nobody uses MQTT, all are confirmed at the start. When the queue is full and the
 * connection is closed, nobody can confirm, but a full queue must delete: then all messages
 * are released (queue_release_awaited).
 *
 * Confirmed ids must reach the disk before the broker gives their packet identifiers to new
 * messages; otherwise, after a crash, a new message could be taken for a redelivery, and be
 * lost. So they are saved
 *
 *     before each new connection                           | queue_confirmed_save
 *     with each commit that stores a message, once         | queue_confirmed_is_due
 *       CONFIRMED_MOST ids were confirmed, or when asked   |
 *     every ten seconds while a confirmed message waits,   | queue_confirmed_step
 *       or a fingerprint is left                           |
 *     when a run begins or ends                            | queue_confirmed_write
 *
 * (Left open: broker and sluice both die before it is saved, the broker gives the
 * identifiers to equal readings, and sluice dies again before it stored those.)
 *
 * Messages by HTTP and of `sluice send` have no packet identifier: nobody sends them again.
 */
#ifndef SLUICE_QUEUE_CONFIRM_H
#define SLUICE_QUEUE_CONFIRM_H

#include "queue/queue.h"

/* The broker has read our acknowledgements of all messages up to this id. */
void queue_confirm(struct queue *queue, int64_t id);
int64_t queue_confirmed_id(const struct queue *queue);
/* Releases all messages that are stored now. */
void queue_release_awaited(struct queue *queue);
/* Whether a salvage may have lost messages, or fingerprints, that are not confirmed. */
bool queue_was_salvaged(const struct queue *queue);
/* Whether this message may still be confirmed. */
bool queue_is_awaited(const struct queue *queue, int64_t id);

/* Saves the confirmed id, durably. 0, -EBUSY: again later, -Exxx. */
int queue_confirmed_save(struct queue *queue);
/* The next commit that stores something saves it. */
void queue_confirmed_save_with_commit(struct queue *queue);

/* In an open transaction: a message came by MQTT, under this packet identifier, and is not
 * stored. It takes an id, and leaves a fingerprint. */
void queue_append_fingerprint(struct queue *queue, uint16_t packet_id, uint64_t digest);

/* Calls visit for the messages by MQTT that are not confirmed, oldest first, at most those of
 * the last `limit` ids: rows, dead letters and fingerprints. digest: replay_digest of topic
 * and payload. visit must not use the queue. */
typedef void queue_packet_fn(void *context, int64_t id, uint16_t packet_id, uint64_t digest);
int queue_unconfirmed_each(struct queue *queue, unsigned limit, queue_packet_fn *visit, void *context);

/* ---- for the other files of the queue ---- */

struct queue_end;
/* Messages above this id are awaited. */
int64_t queue_awaited_after(const struct queue *queue);
void queue_confirm_ended(struct queue *queue, const struct queue_end *end);
/* In a transaction: reads what the last run saved. */
int queue_confirmed_read(struct queue *queue);
/* In a transaction: writes the confirmed id, and deletes the fingerprints up to it. */
int queue_confirmed_write(struct queue *queue);
bool queue_confirmed_is_due(const struct queue *queue);
/* About once a second. oldest_waiting: the lowest id that is not delivered. */
int queue_confirmed_step(struct queue *queue, int64_t oldest_waiting, int64_t now_ms);
/* In a transaction, before the messages or dead letters from first to last are deleted: keeps
 * their fingerprints, unless they are confirmed. */
int queue_fingerprints_keep(struct queue *queue, int64_t first, int64_t last);

#endif
