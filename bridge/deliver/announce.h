/* deliver/announce.h - what is logged about backends and routes that are suspected. */
#ifndef SLUICE_DELIVER_ANNOUNCE_H
#define SLUICE_DELIVER_ANNOUNCE_H

#include "deliver/internal.h"

/* The reason of the last failure, for whoever asks and for the next announcement. */
void announce_reason(struct report *report, const char *reason);
/* A round failed, and the next probe is in wait_ms: logged when it is news, and then now and
 * then. */
void announce_backend(struct deliver *deliver, struct backend_state *backend, int64_t wait_ms);
void announce_route(struct deliver *deliver, struct route_state *route, int64_t wait_ms);
/* Something passed, or ended the suspicion in another way. suspected: until now; otherwise it
 * may have been before the last reload. */
void announce_backend_back(struct backend_state *backend, bool suspected, int64_t now_ms);
void announce_route_back(struct route_state *route, bool suspected, int64_t now_ms);

#endif
