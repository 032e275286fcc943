/* deliver/announce.h - logs that a backend or a route fails, and that it works again. */
#ifndef SLUICE_DELIVER_ANNOUNCE_H
#define SLUICE_DELIVER_ANNOUNCE_H

#include "deliver/internal.h"

/* The request failed, and its backend, or its route, is suspected for it; the next probe comes
 * after the wait. Logs the first failure that is certain, then now and then that it lasts. */
void announce_backend(const struct outcome *outcome, int64_t wait_ms);
void announce_route(const struct outcome *outcome, int64_t wait_ms);

/* The same works again. was_suspected: until now; otherwise it may have been before the
 * configuration was read again. */
void announce_backend_back(const struct outcome *outcome, bool was_suspected);
void announce_route_back(const struct outcome *outcome, bool was_suspected, const char *how);

/* Uptime since when it is known to fail; 0: it does not, or that was not logged. */
int64_t announce_since_ms(const struct scope *scope, const struct announced *announced);

#endif
