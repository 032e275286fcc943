/* control/client.c - see control/client.h. */
#include "control/client.h"
#include "base/clock.h"
#include "control/protocol.h"

#include <string.h>

enum {
    IN_MOST = CONTROL_HEAD_MOST + CONTROL_TOPIC_MOST + CONTROL_PAYLOAD_MOST + 64 * 1024,
    UNREAD_MOST = 64 * 1024, /* of responses; then we read nothing more */
};

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct control_client *client = handle->data;
    if (--client->open_handles > 0)
        return;
    bool sends = client->batch != NULL;
    batch_free(client->batch);
    client->closed(client->control, sends);
    buf_done(&client->in);
    free(client);
}

void control_client_close(struct control_client *client)
{
    if (client->closing)
        return;
    client->closing = true;
    LIST_REMOVE(client, list);
    uv_close((uv_handle_t *)&client->pipe, on_closed);
    uv_close((uv_handle_t *)&client->again, on_closed);
    if (client->batch)
        batch_stop_waiting(client->batch);
}

void control_client_close_if_done(struct control_client *client)
{
    bool waits = client->waits_for_reload || (client->batch && batch_is_waiting(client->batch));
    if (client->ended && client->unread == 0 && !waits && !uv_is_active((uv_handle_t *)&client->again))
        control_client_close(client);
}

/* ---- responses ---- */

struct response {
    uv_write_t write;
    struct control_client *client;
    size_t bytes;
    bool last;
    char text[];
};

static void on_written(uv_write_t *write, int status)
{
    struct response *response = (struct response *)write;
    struct control_client *client = response->client;
    client->unread -= response->bytes;
    bool end = response->last || status < 0;
    free(response);
    if (client->closing)
        return;
    if (client->unread == 0) /* what is left is the beginning of a message */
        client->waits_ms = client->in.bytes > 0 ? clock_uptime_ms() : 0;
    if (end) {
        control_client_close(client);
        return;
    }
    if (client->unread < UNREAD_MOST && !client->reads)
        client->received(client);
    control_client_close_if_done(client);
}

void control_client_respond(struct control_client *client, const char *text, size_t bytes, bool last)
{
    if (client->closing)
        return;
    struct response *response = xcalloc(1, sizeof *response + bytes);
    memcpy(response->text, text, bytes);
    response->client = client;
    response->bytes = bytes;
    response->last = last;
    client->unread += bytes;
    client->waits_ms = clock_uptime_ms();
    uv_buf_t piece = uv_buf_init(response->text, (unsigned)bytes);
    if (uv_write(&response->write, (uv_stream_t *)&client->pipe, &piece, 1, on_written) != 0) {
        client->unread -= bytes;
        free(response);
        control_client_close(client);
    }
}

/* ---- reading ---- */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    static char room[64 * 1024]; /* nothing is kept in it between two reads */
    (void)handle;
    (void)suggested;
    *ret = uv_buf_init(room, sizeof room);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *room)
{
    struct control_client *client = stream->data;
    if (got == 0)
        return;
    if (got == UV_EOF) {
        control_client_stop_reading(client);
        client->ended = true;
    } else if (got < 0 || buf_append(&client->in, room->base, (size_t)got) != 0) {
        control_client_close(client);
        return;
    }
    client->received(client);
    control_client_close_if_done(client);
}

void control_client_read(struct control_client *client)
{
    if (client->reads || client->closing || client->ended || client->unread >= UNREAD_MOST)
        return;
    client->reads = uv_read_start((uv_stream_t *)&client->pipe, on_room, on_read) == 0;
}

void control_client_stop_reading(struct control_client *client)
{
    if (client->reads)
        uv_read_stop((uv_stream_t *)&client->pipe);
    client->reads = false;
}

void control_client_consume(struct control_client *client, size_t bytes)
{
    client->in.bytes -= bytes;
    memmove(client->in.data, client->in.data + bytes, client->in.bytes);
    if (client->in.bytes == 0)
        buf_done(&client->in); /* it may be large, and the client be silent for hours */
}

struct control_client *control_client_accept(struct control *control,
                                             void (*received)(struct control_client *client),
                                             void (*closed)(struct control *control, bool sends))
{
    struct control_client *client = xcalloc(1, sizeof *client);
    client->control = control;
    client->received = received;
    client->closed = closed;
    client->open_handles = 2;
    client->waits_ms = clock_uptime_ms();
    buf_init(&client->in, IN_MOST);
    uv_pipe_init(control->loop, &client->pipe, 0);
    uv_timer_init(control->loop, &client->again);
    client->pipe.data = client->again.data = client;
    LIST_INSERT_HEAD(&control->clients, client, list);
    if (uv_accept((uv_stream_t *)&control->listener, (uv_stream_t *)&client->pipe) != 0)
        control_client_close(client);
    else
        control_client_read(client);
    return client;
}
