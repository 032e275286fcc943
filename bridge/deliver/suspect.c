/* deliver/suspect.c - see deliver/suspect.h. */
#include "deliver/suspect.h"

bool suspect_is_relieved(const struct suspect *suspect)
{
    return suspect->scope && suspect->scope->passes > suspect->passes;
}

/* Only when a second failure counts, the queue learns of the first: after an outage, every
 * message that was in flight when it began has one failure, and costs no write. */
bool suspect_count(struct suspect *suspect)
{
    if (!suspect->owed || !suspect_is_relieved(suspect))
        return false;
    suspect->owed = false;
    suspect->attempts++;
    if (suspect->attempts == 1) {
        free(suspect->first.reason);
        suspect->first = suspect->last;
        suspect->first.reason = xstrdup(suspect->last.reason);
    }
    return true;
}

void suspect_fail(struct suspect *suspect, const struct scope *scope, bool owed, int status,
                  const char *reason, int64_t wall_ms)
{
    suspect->owed = owed;
    suspect->scope = scope;
    suspect->passes = scope->passes;
    free(suspect->last.reason);
    suspect->last = (struct failure){.status = status, .reason = xstrdup(reason), .wall_ms = wall_ms};
}

void suspect_done(struct suspect *suspect)
{
    free(suspect->last.reason);
    free(suspect->first.reason);
    *suspect = (struct suspect){.attempts = 0};
}

void suspect_free(struct suspect *suspect)
{
    if (suspect)
        suspect_done(suspect);
    free(suspect);
}
