/* text/outage.h - one text for a broker, a backend or a route that does not work: the log
 * and `status` use the same. Pure.
 */
#ifndef SLUICE_TEXT_OUTAGE_H
#define SLUICE_TEXT_OUTAGE_H

#include "base/base.h"
#include <stdbool.h>

struct outage {
    const char *state; /* "away", "misconfigured" ... */
    int64_t since_ms;  /* wall clock; 0: unknown */
    const char *why;   /* or NULL */
    int64_t waiting;   /* messages; -1: unknown, or not relevant */
    bool in_all;       /* `waiting` counts the messages of others too */
    bool probes;       /* the next try sends one message; otherwise it connects */
    bool trying;       /* now */
    int64_t wait_ms;   /* until the next try; 0: unknown */
};

/* "away since 11-22 14:02:11 (503: busy), 312 messages waiting, next probe in 40 s"; the
 * caller frees it. */
char *outage_text(const struct outage *outage);

#endif
