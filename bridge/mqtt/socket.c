/* mqtt/socket.c - see mqtt/socket.h. */
#include "mqtt/socket.h"

#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

bool mqtt_open_socket(struct mqtt *mqtt)
{
    int fd = fcntl(mosquitto_socket(mqtt->client), F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return false;
    uv_poll_t *poll = xcalloc(1, sizeof *poll);
    if (uv_poll_init(mqtt->loop, poll, fd) != 0) {
        free(poll);
        close(fd);
        return false;
    }
    poll->data = mqtt;
    mqtt->poll = poll;
    mqtt->poll_fd = fd;
    return true;
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

void mqtt_unwatch(struct mqtt *mqtt)
{
    if (!mqtt->poll)
        return;
    uv_close((uv_handle_t *)mqtt->poll, on_poll_closed); /* leaves epoll at once */
    mqtt->poll = NULL;
    close(mqtt->poll_fd);
    mqtt->poll_fd = -1;
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct mqtt *mqtt = poll->data;
    mqtt->work(mqtt);
}

void mqtt_watch(struct mqtt *mqtt)
{
    if (!mqtt->poll)
        return;
    bool waits = mqtt->link == LINK_UP ? batch_is_waiting(mqtt->batch) : batch_is_locked(mqtt->batch);
    int events = mosquitto_want_write(mqtt->client) ? UV_WRITABLE : waits ? 0 : UV_READABLE;
    if (events != 0)
        uv_poll_start(mqtt->poll, events, on_socket);
    else
        uv_poll_stop(mqtt->poll);
}

bool mqtt_flush(struct mqtt *mqtt)
{
    assert(!batch_is_open(mqtt->batch));
    if (!mqtt->closed && mosquitto_want_write(mqtt->client))
        mosquitto_loop_write(mqtt->client, 1); /* as much as the socket takes */
    return !mqtt->closed && !mosquitto_want_write(mqtt->client);
}
