/* deliver/scope.h - what is suspected when a request fails: a destination or a route. Pure.
 *
 *                 failed                         probe failed: waits longer
 *    ┌─────────┐ ─────────► ┌───────────┐ wait over, ┌─────────┐ ───┐
 *    │ trusted │            │ suspected │ ─────────► │ probing │    │
 *    └─────────┘ ◄───────── └───────────┘  started   └─────────┘ ◄──┘
 *                 passed: acquitted  ▲                    │ passed: acquitted
 *                 (see firm)         └────────────────────┘
 *
 * A failure may be the message's own fault, or that of everything in the scope;
 * one failure cannot tell. So the scope is suspected: no request starts in it
 * until a wait is over, and then one at a time, a probe, with another message
 * where there is one. What passes acquits the scope. `passes` lets a message
 * that failed find out whether a neighbour passed since.
 */
#ifndef SLUICE_SCOPE_H
#define SLUICE_SCOPE_H

#include "base/base.h"
#include "deliver/verdict.h"
#include <stdbool.h>

struct scope {
    bool suspected;
    bool firm;                    /* requests that were in flight cannot acquit it */
    unsigned probing;             /* the number of the one request that may be in flight; 0: none is */
    unsigned probes;              /* numbers given so far */
    bool announced;               /* the caller reported this suspicion, ... */
    enum verdict announced_cause; /* ... for this cause, ... */
    bool alarmed;                 /* ... and raised an alarm */
    enum verdict cause;           /* VERDICT_AWAY or VERDICT_MISCONFIGURED */
    unsigned failures;            /* probes that failed in a row, the first failure included */
    int64_t since_ms;             /* uptime when it was first suspected */
    int64_t retry_at_ms;          /* uptime when the next probe may start */
    uint64_t passes;              /* deliveries so far */
};

/* Whether a request may start now. */
bool scope_admits(const struct scope *scope, int64_t now_ms);
/* A request starts, which scope_admits allowed; returns its number where it is a probe,
 * otherwise 0. It may outlive its suspicion, and must not be taken for the probe of a
 * later one. */
unsigned scope_started(struct scope *scope);

/* A request failed by no clear fault of its message. probe: what scope_started
 * returned for it. Only the failure that raises the suspicion and those of
 * probes count; requests that were in flight meanwhile say nothing new. Returns
 * true when it counted: then scope->failures is the number in a row, and the
 * caller sets the wait with scope_wait. */
bool scope_failed(struct scope *scope, enum verdict cause, unsigned probe, int64_t now_ms);
void scope_wait(struct scope *scope, int64_t now_ms, int64_t wait_ms);

/* A message was delivered: counts it, and acquits; a firm suspicion only when it
 * was a probe. Returns true when that ended a suspicion; since_ms, cause and
 * announced are then still those of the suspicion. */
bool scope_passed(struct scope *scope, unsigned probe);
/* The scope is innocent, though nothing was delivered (a destination thought
 * away that answers 400). Returns as scope_passed. */
bool scope_acquit(struct scope *scope, unsigned probe);
/* A probe ended without telling anything (the message was gone). */
void scope_unstarted(struct scope *scope, unsigned probe);

#endif
