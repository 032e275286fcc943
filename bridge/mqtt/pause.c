/* mqtt/pause.c - nothing more is taken in while the queue is full.
 *
 * What was read is committed and acknowledged by then, and a clean DISCONNECT
 * leaves the session, and the messages to come, at the broker. A connection that
 * stayed open would not do: the broker goes on sending, and without being read it
 * could not even keep itself alive.
 *
 * Rows that were delivered may be deleted only when the broker is known to have
 * read our acknowledgements, and in a queue that is full they may be all there is.
 * After a DISCONNECT the broker closes the connection: an orderly end tells that it
 * read everything before, unless it ends itself at that moment. So they are deleted
 * then, and leave a mark each (queue_let_go). libmosquitto closes its descriptor as
 * soon as it wrote the DISCONNECT; ours, a duplicate, sees the end.
 */
#include "base/clock.h"
#include "base/log.h"
#include "mqtt/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum {
    LOOK_MS = 1000,         /* whether there is room again */
    GOODBYE_MOST_MS = 5000, /* for the broker to close the connection */
    FAILED_MOST_MS = 15000, /* where it was not asked to, for the storage failed */
    TELL_MS = 60 * 1000,    /* a queue that is full again and again is told of at most so often */
};

/* ---- words ---- */

static void tell_full(struct intake_mqtt *mqtt)
{
    int64_t now_ms = clock_uptime_ms();
    cleanup_free char *what = queue_full_text(mqtt->queue);
    mqtt->hold_told = mqtt->hold_told_ms == 0 || now_ms - mqtt->hold_told_ms >= TELL_MS;
    if (mqtt->hold_told) {
        mqtt->hold_told_ms = now_ms;
        log_warning(EVENT_QUEUE_FULL, "%s: messages wait at the broker", what);
    } else {
        log_debug(EVENT_QUEUE_FULL, "%s, again", what);
    }
}

static void tell_room(const struct intake_mqtt *mqtt)
{
    cleanup_free char *room = queue_room_text(mqtt->queue);
    long long held_s = (clock_uptime_ms() - mqtt->holding_ms) / 1000;
    if (mqtt->hold_told)
        log_notice(EVENT_QUEUE_ROOM, "%s; messages waited at the broker for %lld s", room, held_s);
    else
        log_debug(EVENT_QUEUE_ROOM, "%s; messages waited at the broker for %lld s", room, held_s);
}

/* ---- the broker's goodbye ---- */

/* What it still sends is not acknowledged, and comes again. That it says goodbye is no
 * proof (a broker that dies does so in the same way), so what may come again is not
 * forgotten: the next connection tells. */
static void on_goodbye(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct intake_mqtt *mqtt = poll->data;
    char rest[16 * 1024];
    ssize_t got;
    int pieces = 0;
    do
        got = recv(mqtt->poll_fd, rest, sizeof rest, MSG_DONTWAIT);
    while (got > 0 && ++pieces < 64);
    if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    intake_mqtt_unwatch(mqtt);
    if (got == 0)
        queue_let_go(mqtt->queue);
}

/* Without its goodbye, its word is not waited for either: nothing would ever be
 * deleted. */
static void do_without_goodbye(struct intake_mqtt *mqtt)
{
    const char *full = queue_hold(mqtt->queue);
    bool failed = full && strcmp(full, "storage") == 0;
    if (clock_uptime_ms() - mqtt->since_ms < (failed ? FAILED_MOST_MS : GOODBYE_MOST_MS))
        return;
    intake_mqtt_unwatch(mqtt);
    queue_let_go(mqtt->queue);
}

/* ---- holding ---- */

static void on_look(uv_timer_t *timer)
{
    struct intake_mqtt *mqtt = timer->data;
    do_without_goodbye(mqtt);
    if (queue_fails(mqtt->queue))
        intake_mqtt_retry(mqtt);
    else
        intake_mqtt_connect_if_room(mqtt);
}

void intake_mqtt_connect_if_room(struct intake_mqtt *mqtt)
{
    if (queue_hold(mqtt->queue)) {
        if (mqtt->holding_ms == 0) {
            mqtt->holding_ms = clock_uptime_ms();
            tell_full(mqtt);
        }
        mqtt->failures = 0; /* with storage that fails now and then, it must not look ever more seldom */
        uv_timer_start(&mqtt->again, on_look, LOOK_MS, 0);
        return;
    }
    if (mqtt->holding_ms != 0)
        tell_room(mqtt);
    mqtt->holding_ms = 0;
    intake_mqtt_unwatch(mqtt);
    intake_mqtt_connect(mqtt);
}

bool intake_mqtt_must_hold(const struct intake_mqtt *mqtt)
{
    return mqtt->link == LINK_UP && queue_hold(mqtt->queue);
}

void intake_mqtt_hold(struct intake_mqtt *mqtt)
{
    int socket = mosquitto_socket(mqtt->client);
    mosquitto_disconnect(mqtt->client);
    intake_mqtt_flush(mqtt);
    if (mqtt->closed) {
        uv_poll_start(mqtt->poll, UV_READABLE, on_goodbye);
    } else { /* not a byte more went out */
        shutdown(socket, SHUT_RDWR);
        intake_mqtt_unwatch(mqtt);
    }
    mqtt->link = LINK_DOWN;
    mqtt->since_ms = clock_uptime_ms();
    intake_mqtt_connect_if_room(mqtt);
}
