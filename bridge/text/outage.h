/* text/outage.h - how a broker, a backend or a route is that does not work: the same
 * words in the log and where people ask. Pure.
 */
#ifndef SLUICE_WORDS_OUTAGE_H
#define SLUICE_WORDS_OUTAGE_H

#include "base/base.h"
#include <stdbool.h>

struct outage {
    const char *state; /* "away", "misconfigured" ... */
    int64_t since_ms;  /* wall clock; 0: not known */
    const char *why;   /* or NULL */
    int64_t waiting;   /* messages; -1: not known, or nothing to do with it */
    bool in_all;       /* they are all that wait, for others too */
    bool probes;       /* what is tried next is one message; otherwise a connection */
    bool trying;       /* just now */
    int64_t wait_ms;   /* until then; 0: not known */
};

/* "away since 11-22 14:02:11 (503: busy), 312 messages waiting, next probe in 40 s", to
 * be freed by the caller. */
char *words_outage(const struct outage *outage);

#endif
