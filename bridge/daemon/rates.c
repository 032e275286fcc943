/* daemon/rates.c - see daemon/rates.h. */
#include "daemon/rates.h"

enum { MINUTE_MS = 60 * 1000 };

void metrics_minute_note(struct metrics_minute *minute, const struct metrics_sample *now)
{
    minute->samples[minute->next] = *now;
    minute->next = (minute->next + 1) % METRICS_MINUTE_SAMPLES;
    if (minute->count < METRICS_MINUTE_SAMPLES)
        minute->count++;
}

struct metrics_sample metrics_minute_since(const struct metrics_minute *minute,
                                           const struct metrics_sample *now)
{
    unsigned oldest = (minute->next + METRICS_MINUTE_SAMPLES - minute->count) % METRICS_MINUTE_SAMPLES;
    for (unsigned i = 0; i < minute->count; i++) {
        const struct metrics_sample *then = &minute->samples[(oldest + i) % METRICS_MINUTE_SAMPLES];
        if (now->at_ms - then->at_ms > MINUTE_MS)
            continue; /* the process was stopped between */
        return (struct metrics_sample){.at_ms = now->at_ms - then->at_ms,
                                       .stored = now->stored - then->stored,
                                       .delivered = now->delivered - then->delivered,
                                       .syncs = now->syncs - then->syncs,
                                       .sync_us = now->sync_us - then->sync_us};
    }
    return (struct metrics_sample){.at_ms = 0};
}
