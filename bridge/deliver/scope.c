/* deliver/scope.c - see deliver/scope.h. */
#include "deliver/scope.h"

#include <assert.h>

bool scope_admits(const struct scope *scope, int64_t now_ms)
{
    return !scope->suspected || (scope->probing == 0 && now_ms >= scope->retry_at_ms);
}

bool scope_is_checking(const struct scope *scope)
{
    return scope->suspected && scope->checks > 0;
}

unsigned scope_started(struct scope *scope)
{
    if (!scope->suspected)
        return 0;
    assert(scope->probing == 0);
    if (++scope->probes == 0)
        scope->probes = 1;
    scope->probing = scope->probes;
    return scope->probing;
}

/* Not that of an earlier suspicion. */
static bool is_its_probe(const struct scope *scope, unsigned probe)
{
    return probe != 0 && probe == scope->probing;
}

bool scope_counts(const struct scope *scope, unsigned probe)
{
    return !scope->suspected || is_its_probe(scope, probe);
}

enum scope_step scope_failed(struct scope *scope, enum verdict cause, unsigned probe, unsigned checks,
                             int64_t now_ms)
{
    assert(cause == VERDICT_AWAY || cause == VERDICT_MISCONFIGURED);
    if (!scope->suspected) {
        /* A probe of an earlier suspicion, which something else ended, counts like any other
         * failure. */
        scope->suspected = true;
        scope->firm = scope->asked = scope->hurried = scope->announced = scope->alarmed = false;
        scope->checks = scope->rounds = 0;
        scope->since_ms = now_ms;
    } else if (!scope_counts(scope, probe)) {
        return SCOPE_NOTHING;
    }
    scope->probing = 0;
    scope->cause = cause;
    if (scope->checks == 0 || checks == 0)
        scope->checks_left = checks;
    if (scope->checks_left == 0) {
        scope_end_round(scope);
        return SCOPE_WAIT;
    }
    scope->checks_left--;
    scope->checks++;
    scope->retry_at_ms = now_ms;
    return SCOPE_CHECK;
}

void scope_end_round(struct scope *scope)
{
    scope->checks = scope->checks_left = 0;
    scope->rounds++;
}

void scope_wait(struct scope *scope, int64_t now_ms, int64_t wait_ms)
{
    assert(wait_ms >= 0);
    bool at_once = scope->hurried && !scope->asked;
    scope->retry_at_ms = at_once ? now_ms : now_ms + wait_ms;
    scope->hurried = false;
}

bool scope_hurry(struct scope *scope, int64_t now_ms)
{
    if (!scope->suspected)
        return false;
    if (scope->probing != 0 || scope->checks > 0)
        return scope->hurried = true;
    if (scope->asked || scope->retry_at_ms <= now_ms)
        return false;
    scope->retry_at_ms = now_ms;
    return true;
}

bool scope_passed(struct scope *scope, unsigned probe)
{
    scope->passes++;
    return scope_acquit(scope, probe);
}

bool scope_acquit(struct scope *scope, unsigned probe)
{
    bool was_suspected = scope->suspected;
    if (was_suspected && scope->firm && !is_its_probe(scope, probe))
        return false;
    scope->suspected = false;
    scope->probing = scope->checks = scope->checks_left = 0;
    return was_suspected;
}

void scope_unstarted(struct scope *scope, unsigned probe)
{
    if (is_its_probe(scope, probe))
        scope->probing = 0;
}
