/* daemon/recover.c - a queue that is damaged is salvaged, and the daemon goes on.
 *
 * The queue itself stores nothing any more once it is damaged. Requests that are
 * under way may end; then it is closed, salvaged and opened again, at once, for
 * nothing else could be done meanwhile. When that does not help, it is done again
 * after growing pauses: the process goes on, and what is readable is delivered.
 */
#include "base/clock.h"
#include "base/log.h"
#include "daemon/internal.h"
#include "daemon/notify.h"

#include <stdlib.h>

enum {
    MENDED_MS = 60000, /* a salvage after which nothing is found for so long ends the row */
    MEND_MIN_MS = 5000,
    MEND_MAX_MS = 300000,
};

static void salvage_goes_on(void *unused)
{
    (void)unused;
    notify_alive();
}

static uint64_t mend_wait_ms(struct daemon *daemon)
{
    uint64_t wait_ms = MEND_MIN_MS;
    for (unsigned i = 1; i < daemon->mends && wait_ms < MEND_MAX_MS; i++)
        wait_ms *= 2;
    return daemon->mends == 0 ? 0 : wait_ms < MEND_MAX_MS ? wait_ms : MEND_MAX_MS;
}

static void on_mend(uv_timer_t *timer);

static void mend(void *context)
{
    struct daemon *daemon = context;
    char *why = NULL;
    uv_timer_stop(&daemon->mend);
    daemon->mends++;
    int error = queue_reopen(daemon->queue, salvage_goes_on, NULL, &why);
    daemon_forget_round(daemon);
    uv_update_time(&daemon->loop);
    daemon->mended_ms = clock_uptime_ms();
    daemon->mending = error != 0;
    if (error != 0) {
        uint64_t wait_ms = mend_wait_ms(daemon);
        log_error(EVENT_QUEUE_UNUSABLE, "%s; next try in %llu s", why, (unsigned long long)wait_ms / 1000);
        free(why);
        uv_timer_start(&daemon->mend, on_mend, wait_ms, 0);
    } else {
        log_notice(EVENT_QUEUE_RECOVERED, "%s is in use again", daemon->first_config->queue.path);
    }
    deliver_restart(daemon->deliver, daemon->config);
}

static void on_mend_deadline(uv_timer_t *timer)
{
    mend(timer->data);
}

static void on_mend(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    if (daemon->next_config) { /* a reload waits for the same */
        uv_timer_start(timer, on_mend, RELOAD_MOST_MS, 0);
        return;
    }
    uv_timer_start(timer, on_mend_deadline, RELOAD_MOST_MS, 0);
    deliver_pause(daemon->deliver, false, mend, daemon);
}

void daemon_look_for_damage(struct daemon *daemon)
{
    if (daemon->mending || daemon->stopping || !queue_is_damaged(daemon->queue))
        return;
    daemon->mending = true;
    if (clock_uptime_ms() - daemon->mended_ms > MENDED_MS)
        daemon->mends = 0;
    uint64_t wait_ms = mend_wait_ms(daemon);
    log_error(EVENT_QUEUE_DAMAGED, "%s: nothing is stored or acknowledged until it is salvaged%s",
              daemon->first_config->queue.path,
              wait_ms > 0 ? ", which waits because the last salvage was a moment ago" : "");
    uv_timer_start(&daemon->mend, on_mend, wait_ms, 0);
}
