/* daemon/broker.c - whether sluice needs a broker; see daemon/broker.h. */
#include "daemon/broker.h"
#include "mqtt/edge.h"
#include "queue/confirm.h"

static void see_subscription(void *context, const struct subscription *subscription)
{
    (void)subscription;
    *(bool *)context = true;
}

/* Routes without topics need no broker, unless sluice still has subscriptions there, which it
 * must end. */
static bool needs_broker(const struct daemon *daemon)
{
    bool needed = false;
    for (size_t i = 0; i < daemon->config->route_count; i++)
        needed = needed || daemon->config->routes[i].topics.count > 0;
    if (!needed && queue_subscriptions(daemon->queue, see_subscription, &needed) != 0)
        needed = true;
    return needed;
}

void broker_start(struct daemon *daemon)
{
    const struct config *config = daemon->first_config;
    if (needs_broker(daemon))
        daemon->mqtt = mqtt_new(&daemon->loop, &config->broker, &config->queue, daemon->config->route_count,
                                daemon->intake, daemon->queue);
    else /* no broker will send a message again */
        queue_confirm(daemon->queue, queue_last_id(daemon->queue));
}
