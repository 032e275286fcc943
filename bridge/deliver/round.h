/* deliver/round.h - rounds of checks (deliver/scope.h): which other messages are tried after a failure
 * that may be about its message, and when the next round begins. deliver/choose.h chooses them. */
#ifndef SLUICE_DELIVER_ROUND_H
#define SLUICE_DELIVER_ROUND_H

#include "deliver/outcome.h"

/* This failure raises a suspicion of the backend, or of the route, or is that of a probe or a check:
 * a check follows at once, or the round ends and is announced. by_routes: because several routes
 * of it are suspected. */
void round_suspect_backend(const struct outcome *outcome, bool by_routes);
void round_suspect_route(const struct outcome *outcome);
/* No message is left to check: the round of the backend, or of the route, failed. */
void round_end(struct deliver *deliver, struct backend_state *backend, struct route_state *route);

#endif
