/* deliver/suspect.h - what is held against one message that failed alone. Pure.
 *
 * A failure counts as an attempt only once another message of the scope passed after it:
 * until then the scope may be at fault. So an outage, however long, is one failure that
 * does not count.
 */
#ifndef SLUICE_DELIVER_SUSPECT_H
#define SLUICE_DELIVER_SUSPECT_H

#include "deliver/scope.h"

struct failure {
    int status;      /* 0: there was no response */
    char *reason;    /* secrets struck out; NULL: there is no failure */
    int64_t wall_ms; /* when */
};

struct suspect {
    unsigned attempts;         /* failures that count */
    bool owed;                 /* the last failure does not count yet */
    bool isolate;              /* the connection broke under it: it is tried with nothing else on it; */
    bool untried;              /* that was not done yet */
    const struct scope *scope; /* where the last failure was */
    uint64_t passes;           /* scope->passes then */
    uint64_t tried;            /* number of its last try */
    unsigned failures;         /* in all, for its backoff */
    int64_t retry_at_ms;       /* uptime; not before this, unless something passed */
    struct failure last;       /* the last failure */
    struct failure first;      /* the first one that counted, until the queue knows it */
};

/* Whether something passed in the scope since the last failure. */
bool suspect_is_relieved(const struct suspect *suspect);
/* Counts the last failure, if that is due. Returns true when it did. */
bool suspect_count(struct suspect *suspect);
/* A failure in this scope. owed: it may count later. reason is copied. */
void suspect_fail(struct suspect *suspect, const struct scope *scope, bool owed, int status,
                  const char *reason, int64_t wall_ms);
void suspect_done(struct suspect *suspect); /* frees what it holds; it is all zero then */
void suspect_free(struct suspect *suspect); /* takes NULL */

#endif
