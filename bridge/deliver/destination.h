/* deliver/destination.h - a backend as the engine sees it: a suspicion and a budget. Pure.
 *
 * The budget is how many requests may be in flight at once. It is 1 until the
 * protocol is known; then the limit for that protocol (HTTP/2: streams,
 * HTTP/1.1: connections), approached from 1 after every suspicion: each delivery
 * opens it by one more, so it doubles with every round trip (1, 2, 4 ...) and a
 * backend that has just returned is not overloaded.
 */
#ifndef SLUICE_DESTINATION_H
#define SLUICE_DESTINATION_H

#include "base/base.h"
#include "deliver/scope.h"

struct destination {
    struct scope scope;
    unsigned limit_http1; /* configured */
    unsigned limit_http2;
    unsigned http_version; /* 0: not known yet; 1 or 2 */
    unsigned window;       /* how far it has opened */
    unsigned in_flight;
};

void destination_init(struct destination *destination, unsigned limit_http1, unsigned limit_http2);
unsigned destination_budget(const struct destination *destination);
bool destination_admits(const struct destination *destination, int64_t now_ms);

/* A request starts, ends. started returns as scope_started. http_version:
 * of the response, 0 when there was none. */
unsigned destination_started(struct destination *destination);
void destination_ended(struct destination *destination, unsigned http_version);
/* See deliver/scope.h; these move the window as well. */
bool destination_passed(struct destination *destination, unsigned probe);
enum scope_step destination_failed(struct destination *destination, enum verdict cause, unsigned probe,
                                   unsigned checks, int64_t now_ms);
/* The budget opens from 1 again. */
void destination_slow_down(struct destination *destination);

#endif
