/* message/replay.h - tells a redelivered PUBLISH from a new one. Pure.
 *
 * After a lost connection a broker sends again what it has no acknowledgement
 * for: first of all, with the same packet identifiers and DUP set (MQTT 5.0
 * section 4.4). What sluice had stored of that must not be stored again. A PUBLISH
 * is taken for a duplicate if and only if
 *   - its DUP flag is set,
 *   - it comes before the first one without it in a resumed session, and
 *   - its packet identifier is known, with the same digest of topic and payload.
 * Otherwise it is a new message: two equal readings are two readings.
 *
 * Known is what was stored and not confirmed yet: the broker may not have read its
 * acknowledgement. What is confirmed will not come again, and its identifier may
 * be given to another message, so it is forgotten. So is what a broker gives the
 * identifier of anew: one that lost its memory.
 */
#ifndef SLUICE_REPLAY_H
#define SLUICE_REPLAY_H

#include "base/base.h"
#include <stdbool.h>

struct replay;

struct replay *replay_new(void);
void replay_free(struct replay *replay); /* takes NULL */

uint64_t replay_digest(const char *topic, const void *payload, size_t payload_bytes);

/* A message was received, and is known once it is committed: replay_committed
 * makes all received ones known, as messages with ids up to this one;
 * replay_discarded forgets them (the commit failed). packet_id 0 (QoS 0) is
 * ignored. */
void replay_received(struct replay *replay, uint16_t packet_id, uint64_t digest);
void replay_committed(struct replay *replay, int64_t id);
void replay_discarded(struct replay *replay);
/* Messages with ids up to this one will not come again. */
void replay_confirmed(struct replay *replay, int64_t id);

/* A session was resumed, or a new one began: only then are there duplicates. */
void replay_connected(struct replay *replay, bool session_present);
/* Whether duplicates may still come. */
bool replay_expected(const struct replay *replay);
bool replay_is_duplicate(struct replay *replay, bool dup, uint16_t packet_id, uint64_t digest);

#endif
