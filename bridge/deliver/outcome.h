/* deliver/outcome.h - the outcome of a request: what its response says. */
#ifndef SLUICE_DELIVER_OUTCOME_H
#define SLUICE_DELIVER_OUTCOME_H

#include "deliver/internal.h"

/* A response that is acted upon. */
struct outcome {
    struct flight *flight;
    const struct reply *reply;
    enum verdict verdict;
    bool by_user; /* the configuration says what its status means */
    int64_t now_ms;
    char *reason; /* "503: Service Unavailable", for people; secrets struck out */
};

/* What kind of failure it is: CERTAIN, no message is at fault (no connection, TLS ...); DOUBTFUL, it
 * may be about the messages of the request; ASKS_TO_WAIT, 429 or with Retry-After. */
enum outcome_kind { OUTCOME_CERTAIN, OUTCOME_DOUBTFUL, OUTCOME_ASKS_TO_WAIT };
enum outcome_kind outcome_kind(const struct outcome *outcome);
/* It broke together with others on its connection: that is no evidence against it. */
bool outcome_broke_with_others(const struct outcome *outcome);
/* A proxy responded that the backend is away, or there was no response. */
bool outcome_is_of_proxy(const struct outcome *outcome);
/* How long to wait after so many failures: backoff, or as long as the response asks for. */
int64_t outcome_backoff_ms(const struct outcome *outcome, unsigned failures);
/* Whether a message waits that is not in the request, with which the failure can be compared. */
bool outcome_has_others(const struct outcome *outcome, bool whole_backend);

#endif
