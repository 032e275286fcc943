/* mqtt/pause.c - see mqtt/pause.h.
 *
 * When the queue becomes full, what was read is committed and acknowledged, and a DISCONNECT
 * leaves the session, and the messages to come, at the broker. A connection that stays open
 * and is not read would not do: the broker goes on sending, and the connection cannot keep
 * itself alive.
 *
 * A delivered row may be deleted only when the broker has read our acknowledgement of it
 * (queue_confirm), and in a full queue there may be no other rows. After a DISCONNECT the
 * broker closes the connection. If it does so in order, it has read everything before,
 * unless it ends itself at that moment. So we release these rows then. libmosquitto closes
 * its descriptor when it has written the DISCONNECT; our duplicate sees the end.
 */
#include "mqtt/pause.h"
#include "base/clock.h"
#include "base/log.h"
#include "mqtt/connection.h"
#include "mqtt/socket.h"
#include "queue/confirm.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum {
    LOOK_MS = 1000,         /* whether there is room again */
    CLOSE_MOST_MS = 5000,   /* until the broker closes the connection */
    FAILED_MOST_MS = 15000, /* the same where we sent no DISCONNECT, because the storage failed */
    REPORT_EVERY_MS = 60 * 1000,
};

/* ---- the log ---- */

static void report_full(struct mqtt *mqtt)
{
    cleanup_free char *what = queue_full_text(mqtt->queue);
    cleanup_free char *filling = queue_filling_text(mqtt->queue);
    mqtt->full_logged = throttle_due(&mqtt->full_reports, 1, mqtt->full_ms, REPORT_EVERY_MS) > 0;
    if (mqtt->full_logged)
        log_warning(EVENT_QUEUE_FULL, "%s: messages wait at the broker; %s", what, filling);
    else
        log_debug(EVENT_QUEUE_FULL, "%s, again", what);
}

static void report_room(const struct mqtt *mqtt)
{
    cleanup_free char *room = queue_room_text(mqtt->queue);
    long long full_s = (clock_uptime_ms() - mqtt->full_ms) / 1000;
    if (mqtt->full_logged)
        log_notice(EVENT_QUEUE_ROOM, "%s; messages waited at the broker for %lld s", room, full_s);
    else
        log_debug(EVENT_QUEUE_ROOM, "%s; messages waited at the broker for %lld s", room, full_s);
}

/* ---- the broker closes the connection ---- */

/* What the broker still sends is not acknowledged, and it sends that again. An orderly end
 * proves nothing (a broker that dies may end so), so we go on recognising what it may send
 * again: the next connection confirms it. */
static void on_end(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct mqtt *mqtt = poll->data;
    char rest[16 * 1024];
    ssize_t got;
    int pieces = 0;
    do
        got = recv(mqtt->poll_fd, rest, sizeof rest, MSG_DONTWAIT);
    while (got > 0 && ++pieces < 64);
    if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    mqtt_unwatch(mqtt);
    if (got == 0)
        queue_release_awaited(mqtt->queue);
}

/* A broker that does not close the connection must not keep us from deleting for ever. */
static void end_without_broker(struct mqtt *mqtt)
{
    const char *full = queue_hold(mqtt->queue);
    bool failed = full && strcmp(full, "storage") == 0;
    if (clock_uptime_ms() - mqtt->since_ms < (failed ? FAILED_MOST_MS : CLOSE_MOST_MS))
        return;
    mqtt_unwatch(mqtt);
    queue_release_awaited(mqtt->queue);
}

/* ---- the storage fails ---- */

static void note_storage(struct mqtt *mqtt, int error)
{
    if (error == 0)
        mqtt->held_ms = 0;
    else if (mqtt->held_ms == 0)
        mqtt->held_ms = clock_uptime_ms();
    mqtt->storage_error = error;
}

void mqtt_storage_failed(struct mqtt *mqtt, int error)
{
    note_storage(mqtt, error);
    /* Not mosquitto_disconnect: its packet would be written after the acknowledgements. */
    int socket = mosquitto_socket(mqtt->client);
    if (socket >= 0)
        shutdown(socket, SHUT_RDWR);
    mqtt_disconnected(mqtt);
    batch_fail(mqtt->batch); /* also when the subscriptions could not be read or saved */
    if (throttle_due(&mqtt->failure_reports, 1, mqtt->since_ms, REPORT_EVERY_MS) > 0) {
        mqtt->failure_logged = true;
        log_error(EVENT_QUEUE_WRITE_FAILED,
                  "%s: nothing is acknowledged; messages stay at the broker until a commit succeeds",
                  batch_error_text(error));
    }
    mqtt_retry_later(mqtt, NULL);
}

/* Before a trial commit succeeds, the broker would send everything again for nothing. */
static int try_storage(struct mqtt *mqtt)
{
    int error = batch_try_storage(mqtt->batch);
    note_storage(mqtt, error);
    if (error == 0 && mqtt->failure_logged) {
        log_notice(EVENT_QUEUE_WRITABLE, "a commit succeeded");
        mqtt->failure_logged = false;
    }
    return error;
}

/* ---- the queue is full ---- */

static void on_look(uv_timer_t *timer);

static void connect_if_room(struct mqtt *mqtt)
{
    if (queue_hold(mqtt->queue)) {
        if (mqtt->full_ms == 0) {
            mqtt->full_ms = clock_uptime_ms();
            report_full(mqtt);
        }
        mqtt->failures = 0; /* storage that fails now and then must not make the looks rare */
        uv_timer_start(&mqtt->retry, on_look, LOOK_MS, 0);
        return;
    }
    mqtt->is_routine = mqtt->full_ms != 0 && !mqtt->full_logged;
    if (mqtt->full_ms != 0)
        report_room(mqtt);
    mqtt->full_ms = 0;
    mqtt_unwatch(mqtt);
    mqtt_connect(mqtt);
}

static void on_look(uv_timer_t *timer)
{
    struct mqtt *mqtt = timer->data;
    end_without_broker(mqtt);
    if (queue_fails(mqtt->queue))
        mqtt_retry_later(mqtt, NULL);
    else
        connect_if_room(mqtt);
}

void mqtt_try_connect(struct mqtt *mqtt)
{
    if (try_storage(mqtt) != 0)
        mqtt_retry_later(mqtt, NULL);
    else
        connect_if_room(mqtt);
}

bool mqtt_must_pause(const struct mqtt *mqtt)
{
    return mqtt->link == LINK_UP && queue_hold(mqtt->queue);
}

void mqtt_pause(struct mqtt *mqtt)
{
    int socket = mosquitto_socket(mqtt->client);
    mosquitto_disconnect(mqtt->client);
    mqtt_flush(mqtt);
    if (mqtt->closed) {
        uv_poll_start(mqtt->poll, UV_READABLE, on_end);
    } else { /* the socket takes not a byte more */
        shutdown(socket, SHUT_RDWR);
        mqtt_unwatch(mqtt);
    }
    batch_end_lock_wait(mqtt->batch);
    mqtt->link = LINK_DOWN;
    mqtt->since_ms = clock_uptime_ms();
    connect_if_room(mqtt);
}
