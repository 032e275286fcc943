/* daemon/recover.c - salvages a damaged queue, and saves one whose files were deleted or replaced; see
 * daemon/recover.h.
 *
 * A damaged queue stores nothing more. Requests in flight may end; then the queue is closed,
 * salvaged and opened again, in one step, because nothing else could be done meanwhile. If it
 * is still damaged, the same is done again after growing pauses. The daemon goes on, and
 * delivers what is readable.
 */
#include "daemon/recover.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/kept_config.h"

enum {
    SOUND_MS = 60000, /* without damage for this long, the next salvage is the first of a row */
    PAUSE_MIN_MS = 5000,
    PAUSE_MAX_MS = 300000,
};

static uint64_t pause_ms(const struct recovery *recovery)
{
    uint64_t pause = PAUSE_MIN_MS;
    for (unsigned i = 1; i < recovery->tries && pause < PAUSE_MAX_MS; i++)
        pause *= 2;
    return recovery->tries == 0 ? 0 : pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

static void on_due(uv_timer_t *timer);

static void salvage(void *context)
{
    struct daemon *daemon = context;
    struct recovery *recovery = &daemon->recovery;
    char *why = NULL;
    uv_timer_stop(&recovery->timer);
    recovery->tries++;
    int error = queue_reopen(daemon->queue, &why);
    loop_time_skip_round(&daemon->loop_time);
    uv_update_time(&daemon->loop);
    recovery->ended_ms = clock_uptime_ms();
    recovery->active = error != 0;
    if (error != 0) {
        uint64_t wait_ms = pause_ms(recovery);
        log_error(EVENT_QUEUE_UNUSABLE, "%s; next try in %llu s", why, (unsigned long long)wait_ms / 1000);
        free(why);
        uv_timer_start(&recovery->timer, on_due, wait_ms, 0);
    } else {
        log_notice(EVENT_QUEUE_RECOVERED, "%s is in use again", daemon->first_config->queue.path);
        kept_config_save(daemon->config); /* it may have been deleted with the queue */
    }
    deliver_restart(daemon->deliver, daemon->config);
}

static void on_deadline(uv_timer_t *timer)
{
    salvage(timer->data);
}

static void on_due(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    if (daemon->next_config) { /* a reload waits for the same requests */
        uv_timer_start(timer, on_due, RELOAD_MOST_MS, 0);
        return;
    }
    uv_timer_start(timer, on_deadline, RELOAD_MOST_MS, 0);
    deliver_pause(daemon->deliver, false, salvage, daemon);
}

static void on_round(uv_prepare_t *prepare)
{
    struct daemon *daemon = prepare->data;
    struct recovery *recovery = &daemon->recovery;
    bool lost = queue_is_lost(daemon->queue);
    if (recovery->active || daemon->stopping || !(lost || queue_is_damaged(daemon->queue)))
        return;
    recovery->active = true;
    if (clock_uptime_ms() - recovery->ended_ms > SOUND_MS)
        recovery->tries = 0;
    uint64_t wait_ms = pause_ms(recovery);
    if (lost)
        log_error(EVENT_QUEUE_FILES_LOST,
                  "%s: its files were deleted or replaced while sluice uses them: nothing is stored or "
                  "acknowledged until what they have is saved into a new queue",
                  daemon->first_config->queue.path);
    else
        log_error(EVENT_QUEUE_DAMAGED, "%s: nothing is stored or acknowledged until it is salvaged%s",
                  daemon->first_config->queue.path,
                  wait_ms > 0 ? ", which waits because the last salvage was a moment ago" : "");
    uv_timer_start(&recovery->timer, on_due, wait_ms, 0);
}

void recover_start(struct daemon *daemon)
{
    struct recovery *recovery = &daemon->recovery;
    uv_timer_init(&daemon->loop, &recovery->timer);
    uv_prepare_init(&daemon->loop, &recovery->check);
    recovery->timer.data = recovery->check.data = daemon;
    uv_prepare_start(&recovery->check, on_round);
}
