/* daemon/early.c - see daemon/early.h. */
#include "daemon/early.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/internal.h"
#include "mqtt/edge.h"

int64_t early_wait_ms(const struct early_limit *limit, int64_t now_ms)
{
    int64_t made_ms = limit->made_ms[limit->oldest];
    int64_t wait_ms = made_ms == 0 ? 0 : made_ms + EARLY_SPAN_MS - now_ms;
    return wait_ms > 0 ? wait_ms : 0;
}

void early_made(struct early_limit *limit, int64_t now_ms)
{
    limit->made_ms[limit->oldest] = now_ms;
    limit->oldest = (limit->oldest + 1) % EARLY_MOST;
}

/* An address often comes before the name server can be reached, or the route: the trials are repeated so
 * long after the change. */
static const uint64_t again_ms[EARLY_REPEATS] = {2 * 1000, 10 * 1000};

/* A trial is made only where something is away. */
static void try_now(struct daemon *daemon, bool only_unreached)
{
    if (daemon->stopping)
        return;
    bool backends = deliver_try_early(daemon->deliver, only_unreached);
    bool broker = daemon->mqtt && mqtt_try_early(daemon->mqtt);
    if (!backends && !broker)
        return;
    early_made(&daemon->early.limit, clock_uptime_ms());
    log_info(EVENT_PAUSES_ENDED, "%s: what is away is tried at once", daemon->early.why);
}

static void on_allowed(uv_timer_t *timer)
{
    try_now(timer->data, false);
}

/* A repeat that the limit does not allow yet waits: a network that came up in many steps has used the
 * trials before it worked. */
static void on_again(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    struct early *early = &daemon->early;
    uint64_t wait_ms = (uint64_t)early_wait_ms(&early->limit, clock_uptime_ms());
    if (wait_ms > 0) {
        uv_timer_start(timer, on_again, wait_ms, 0);
        return;
    }
    try_now(daemon, true);
    if (++early->repeat < EARLY_REPEATS)
        uv_timer_start(timer, on_again, again_ms[early->repeat] - again_ms[early->repeat - 1], 0);
}

void early_try(struct daemon *daemon, const char *why)
{
    struct early *early = &daemon->early;
    if (daemon->stopping)
        return;
    free(early->why);
    early->why = xstrdup(why);
    if (!uv_is_active((uv_handle_t *)&early->timer))
        uv_timer_start(&early->timer, on_allowed, (uint64_t)early_wait_ms(&early->limit, clock_uptime_ms()),
                       0);
}

static void on_network(void *context, const char *what)
{
    struct daemon *daemon = context;
    cleanup_free char *why = xasprintf("the network changed (%s)", what);
    early_try(daemon, why);
    daemon->early.repeat = 0;
    uv_timer_start(&daemon->early.again, on_again, again_ms[0], 0);
}

void early_start(struct daemon *daemon)
{
    struct early *early = &daemon->early;
    uv_timer_init(&daemon->loop, &early->timer);
    uv_timer_init(&daemon->loop, &early->again);
    early->timer.data = early->again.data = daemon;
    early->network = network_new(&daemon->loop, on_network, daemon);
}

void early_stop(struct daemon *daemon)
{
    network_free(daemon->early.network);
    uv_close((uv_handle_t *)&daemon->early.timer, NULL);
    uv_close((uv_handle_t *)&daemon->early.again, NULL);
    free(daemon->early.why);
    daemon->early.why = NULL;
}
