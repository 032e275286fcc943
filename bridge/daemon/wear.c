/* daemon/wear.c - see daemon/wear.h. */
#include "daemon/wear.h"
#include "base/log.h"

enum { EVERY_MS = 60 * 60 * 1000 };

/* What was written since `last`, and for each message that was stored since then. */
static char *describe(const struct db_wear *last, uint64_t stored)
{
    struct db_wear now = db_wear();
    uint64_t syncs = now.syncs - last->syncs, bytes = now.bytes_written - last->bytes_written;
    if (stored == 0)
        return xasprintf("%llu fsyncs, %.1f KB written", (unsigned long long)syncs, (double)bytes / 1000);
    return xasprintf("%llu fsyncs, %.1f KB written (%.2f and %.1f KB a message)", (unsigned long long)syncs,
                     (double)bytes / 1000, (double)syncs / (double)stored,
                     (double)bytes / 1000 / (double)stored);
}

char *wear_text(uint64_t stored)
{
    return describe(&(struct db_wear){0}, stored);
}

static void on_hour(uv_timer_t *timer)
{
    struct wear *wear = timer->data;
    uint64_t stored = wear->metrics->stored - wear->last_stored;
    cleanup_free char *text = describe(&wear->last, stored);
    if (db_wear().bytes_written > wear->last.bytes_written)
        log_info(EVENT_STORAGE_WRITES, "in the last hour: %llu messages stored, %s",
                 (unsigned long long)stored, text);
    wear->last = db_wear();
    wear->last_stored = wear->metrics->stored;
}

void wear_start(struct wear *wear, uv_loop_t *loop, const struct metrics *metrics)
{
    wear->metrics = metrics;
    uv_timer_init(loop, &wear->timer);
    wear->timer.data = wear;
    uv_timer_start(&wear->timer, on_hour, EVERY_MS, EVERY_MS);
}
