/* deliver/hour.h - how many messages of a route were delivered and dead-lettered in the last hour. Pure.
 *
 * The hour has HOUR_PARTS parts, and the part of now is not complete: so what is counted is between
 * 55 and 60 minutes old at most.
 */
#ifndef SLUICE_DELIVER_HOUR_H
#define SLUICE_DELIVER_HOUR_H

#include "base/base.h"

enum { HOUR_PARTS = 12, HOUR_PART_MS = 5 * 60 * 1000 };

struct hour_count {
    uint64_t delivered, dead;
};

/* All zero at first. */
struct hour {
    int64_t part; /* number of the newest part, since uptime 0 */
    struct hour_count parts[HOUR_PARTS];
};

void hour_note(struct hour *hour, const struct hour_count *more, int64_t now_ms);
struct hour_count hour_sum(const struct hour *hour, int64_t now_ms);

#endif
