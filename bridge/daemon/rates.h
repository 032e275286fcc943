/* daemon/rates.h - the counters of the last minute. Pure. */
#ifndef SLUICE_METRICS_MINUTE_H
#define SLUICE_METRICS_MINUTE_H

#include "base/metrics.h"

enum { METRICS_MINUTE_SAMPLES = 61 };

struct metrics_minute {
    struct metrics_sample {
        int64_t at_ms;
        uint64_t stored, delivered, syncs, sync_us;
    } samples[METRICS_MINUTE_SAMPLES];
    unsigned next, count;
};

/* To be called about once a second. */
void metrics_minute_note(struct metrics_minute *minute, const struct metrics_sample *now);

/* The differences from the oldest sample of the last minute: of each counter, and of at_ms.
 * Zero before the first sample. */
struct metrics_sample metrics_minute_since(const struct metrics_minute *minute,
                                           const struct metrics_sample *now);

#endif
