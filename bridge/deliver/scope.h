/* deliver/scope.h - what is suspected when a request fails: a backend or a route. Pure.
 *
 *                      failed              every check failed, or the failure is certain
 *      ┌─────────┐ ─────────► ┌──────────┐ ─────────► ┌─────────┐
 *      │ trusted │            │ checking │            │ waiting │  backoff
 *      └─────────┘ ◄───────── └──────────┘ ◄───────── └─────────┘
 *                   something passed          wait over: a probe, and when it
 *                                             fails, its checks
 *
 * A failure may be about one message, or about everything in the scope; one failure cannot
 * tell. So other messages are tried at once, without a wait and one at a time: the checks.
 * When one passes, the scope is well, and the failed message is at fault. When all fail, the
 * scope is at fault: no request starts until a wait is over, and then one at a time, a probe
 * and its checks: together a round. While a scope is not trusted, nothing but these starts.
 */
#ifndef SLUICE_SCOPE_H
#define SLUICE_SCOPE_H

#include "base/base.h"
#include "deliver/verdict.h"
#include <stdbool.h>

struct scope {
    bool suspected;       /* not trusted */
    bool firm;            /* only what started after the failure ends the suspicion */
    bool asked;           /* the backend asked for the wait (429, Retry-After): nothing shortens it */
    bool unreached;       /* nothing of the last request was sent: no name, no route, refused */
    bool hurried;         /* the next wait is none: scope_hurry came during this round */
    unsigned checks;      /* of this round that ended or are in flight; 0: the next request is its probe */
    unsigned checks_left; /* of this round that may still start */
    unsigned rounds;      /* that failed in a row */
    unsigned probing;     /* the number of the one request that may be in flight; 0: none is */
    unsigned probes;      /* numbers given so far */
    bool announced;       /* the caller reported this suspicion, ... */
    enum verdict announced_cause; /* ... with this cause, ... */
    bool alarmed;                 /* ... and raised an alarm */
    enum verdict cause;           /* VERDICT_AWAY or VERDICT_MISCONFIGURED */
    int64_t since_ms;             /* uptime when it was first suspected */
    int64_t retry_at_ms;          /* uptime when the next request may start */
    uint64_t passes;              /* deliveries so far */
};

enum scope_step {
    SCOPE_NOTHING, /* this failure says nothing new */
    SCOPE_CHECK,   /* another message may be tried at once */
    SCOPE_WAIT,    /* the round failed: the caller calls scope_wait */
};

/* Whether a request may start now. */
bool scope_admits(const struct scope *scope, int64_t now_ms);
/* Whether the next request, or the one in flight, is a check: any message but the failed one. */
bool scope_is_checking(const struct scope *scope);
/* A request starts, which scope_admits allowed; returns its number where it is a probe or a
 * check, otherwise 0. It may outlive its suspicion, and then counts for no later one. */
unsigned scope_started(struct scope *scope);

/* Whether a failure of the request with this number counts: only one that raises the suspicion, and
 * those of probes and checks. */
bool scope_counts(const struct scope *scope, unsigned probe);
/* A request failed by no clear fault of its message. probe: the number of scope_started.
 * checks: how many other messages may be tried at once, 0 when the failure is certain. */
enum scope_step scope_failed(struct scope *scope, enum verdict cause, unsigned probe, unsigned checks,
                             int64_t now_ms);
/* No message is left that could be a check: the round failed. */
void scope_end_round(struct scope *scope);
void scope_wait(struct scope *scope, int64_t now_ms, int64_t wait_ms);
/* The failure may be over: the next round begins now, or, if one is in flight and fails, right after it.
 * `rounds` still counts the failures, so the waits after that are no shorter. Returns whether that
 * changes anything. */
bool scope_hurry(struct scope *scope, int64_t now_ms);

/* A message was delivered: counts it, and ends the suspicion; a firm one only by a probe or a
 * check. Returns true when that ended one; since_ms, cause and announced are then still those
 * of the suspicion. */
bool scope_passed(struct scope *scope, unsigned probe);
/* The scope is well, though nothing was delivered (a backend that responds 400 is not away).
 * Returns as scope_passed. */
bool scope_acquit(struct scope *scope, unsigned probe);
/* A probe ended without a result (the message was gone). */
void scope_unstarted(struct scope *scope, unsigned probe);

#endif
