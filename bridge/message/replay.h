/* message/replay.h - the memory that recognises redelivered messages. Pure; the rule is in
 * mqtt/redelivery.h.
 *
 * It knows the packet identifier and a digest of each message that is stored and not
 * confirmed. It forgets a message that is confirmed, because the broker may give its
 * identifier to another message; and a message of an earlier connection whose identifier
 * comes with another message, because then the broker has lost its memory.
 */
#ifndef SLUICE_REPLAY_H
#define SLUICE_REPLAY_H

#include "base/base.h"
#include <stdbool.h>

struct replay;

struct replay *replay_new(void);
void replay_free(struct replay *replay); /* takes NULL */

uint64_t replay_digest(const char *topic, const void *payload, size_t payload_bytes);

/* A message was received. After the commit, replay_committed makes all received messages
 * known, with ids up to this one; when the commit failed, replay_discarded forgets them.
 * packet_id 0 (QoS 0) is ignored. */
void replay_received(struct replay *replay, uint16_t packet_id, uint64_t digest);
void replay_committed(struct replay *replay, int64_t id);
void replay_discarded(struct replay *replay);
/* Messages with ids up to this one do not come again. */
void replay_confirmed(struct replay *replay, int64_t id);

/* A connection began. session_present: of a resumed session, where redeliveries may come. */
void replay_connected(struct replay *replay, bool session_present);
/* Whether redeliveries may still come. */
bool replay_expected(const struct replay *replay);
/* A PUBLISH came. Returns whether it is a redelivery; after a new one (dup is false) none is
 * expected any more. */
bool replay_recognise(struct replay *replay, bool dup, uint16_t packet_id, uint64_t digest);
/* After a redelivery: the highest id of the messages before that one; 0: none is known. */
int64_t replay_before(const struct replay *replay);

#endif
