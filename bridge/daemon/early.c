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

/* A trial is made only where something is away. */
static void on_allowed(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    if (daemon->stopping)
        return;
    bool backends = deliver_try_early(daemon->deliver);
    bool broker = daemon->mqtt && mqtt_try_early(daemon->mqtt);
    if (!backends && !broker)
        return;
    early_made(&daemon->early.limit, clock_uptime_ms());
    log_info(EVENT_PAUSES_ENDED, "%s: what is away is tried at once", daemon->early.why);
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
    cleanup_free char *why = xasprintf("the network changed (%s)", what);
    early_try(context, why);
}

void early_start(struct daemon *daemon)
{
    struct early *early = &daemon->early;
    uv_timer_init(&daemon->loop, &early->timer);
    early->timer.data = daemon;
    early->network = network_new(&daemon->loop, on_network, daemon);
}

void early_stop(struct daemon *daemon)
{
    network_free(daemon->early.network);
    uv_close((uv_handle_t *)&daemon->early.timer, NULL);
    free(daemon->early.why);
    daemon->early.why = NULL;
}
