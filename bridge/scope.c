/* scope.c - what is suspected when a request fails. See scope.h. */
#include "scope.h"

#include <assert.h>

bool scope_admits(const struct scope *scope, int64_t now_ms)
{
    return !scope->suspected || (!scope->probing && now_ms >= scope->retry_at_ms);
}

bool scope_started(struct scope *scope)
{
    if (!scope->suspected)
        return false;
    assert(!scope->probing);
    scope->probing = true;
    return true;
}

bool scope_failed(struct scope *scope, enum verdict cause, bool probe, int64_t now_ms)
{
    assert(cause == VERDICT_AWAY || cause == VERDICT_MISCONFIGURED);
    if (!scope->suspected) {
        /* A probe of an earlier suspicion, which something else ended, counts
         * like any other failure. */
        scope->suspected = true;
        scope->probing = false;
        scope->firm = false;
        scope->announced = false;
        scope->alarmed = false;
        scope->failures = 0;
        scope->since_ms = now_ms;
    } else if (!probe || !scope->probing) {
        return false;
    }
    scope->probing = false;
    scope->cause = cause;
    scope->failures++;
    return true;
}

void scope_wait(struct scope *scope, int64_t now_ms, int64_t wait_ms)
{
    assert(wait_ms >= 0);
    scope->retry_at_ms = now_ms + wait_ms;
}

bool scope_passed(struct scope *scope, bool probe)
{
    scope->passes++;
    return scope_acquit(scope, probe);
}

bool scope_acquit(struct scope *scope, bool probe)
{
    bool was_suspected = scope->suspected;
    if (was_suspected && scope->firm && !probe)
        return false;
    scope->suspected = false;
    scope->probing = false;
    return was_suspected;
}

void scope_unstarted(struct scope *scope, bool probe)
{
    if (probe)
        scope->probing = false;
}
