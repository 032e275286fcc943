/* control/control.c - the control socket, its clients, and what they ask; see control/control.h. */
#include "control/control.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    CLIENTS_MOST = 40,
    SENDERS_MOST = 32, /* who sends may stay for months; those who ask find room beside them */
    BACKLOG = 16,
    SWEEP_MS = 1000,
    PATIENCE_MS = 30000, /* for a whole question or message, or until answers are read */
    IN_MOST = CONTROL_HEAD_MOST + CONTROL_TOPIC_MOST + CONTROL_PAYLOAD_MOST + 64 * 1024,
    UNREAD_MOST = 64 * 1024, /* of answers; then nothing more is read */
    LINE_MOST = 16,          /* the first line */
};

/* ---- the end of a client ---- */

static void free_control_when_done(struct control *control)
{
    if (control->closing && control->open_handles == 0 && control->client_count == 0)
        free(control);
}

static void on_client_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    if (--client->open_handles > 0)
        return;
    struct control *control = client->control;
    control->client_count--;
    control->sender_count -= client->sends;
    buf_done(&client->in);
    free(client);
    free_control_when_done(control);
}

void control_close(struct client *client)
{
    if (client->closing)
        return;
    client->closing = true;
    LIST_REMOVE(client, list);
    uv_close((uv_handle_t *)&client->pipe, on_client_closed);
    uv_close((uv_handle_t *)&client->again, on_client_closed);
    batch_free(client->batch);
}

void control_close_if_done(struct client *client)
{
    bool waits = client->batch && batch_is_waiting(client->batch);
    if (client->ended && client->unread == 0 && !waits && !uv_is_active((uv_handle_t *)&client->again))
        control_close(client);
}

/* ---- answers ---- */

struct answer {
    uv_write_t write;
    struct client *client;
    size_t bytes;
    bool end;
    char text[];
};

static void on_written(uv_write_t *write, int status)
{
    struct answer *answer = (struct answer *)write;
    struct client *client = answer->client;
    client->unread -= answer->bytes;
    bool end = answer->end || status < 0;
    free(answer);
    if (client->closing)
        return;
    if (client->unread == 0) /* what is left is the beginning of a message */
        client->waits_ms = client->in.bytes > 0 ? clock_uptime_ms() : 0;
    if (end) {
        control_close(client);
        return;
    }
    if (client->sends && client->unread < UNREAD_MOST && !client->reads)
        control_take(client);
    control_close_if_done(client);
}

void control_answer(struct client *client, const char *text, size_t bytes, bool end)
{
    if (client->closing)
        return;
    struct answer *answer = xcalloc(1, sizeof *answer + bytes);
    memcpy(answer->text, text, bytes);
    answer->client = client;
    answer->bytes = bytes;
    answer->end = end;
    client->unread += bytes;
    client->waits_ms = clock_uptime_ms();
    uv_buf_t piece = uv_buf_init(answer->text, (unsigned)bytes);
    if (uv_write(&answer->write, (uv_stream_t *)&client->pipe, &piece, 1, on_written) != 0) {
        client->unread -= bytes;
        free(answer);
        control_close(client);
    }
}

/* ---- questions ---- */

static void answer_status(struct client *client)
{
    const struct control_calls *calls = &client->control->calls;
    cleanup_free char *text = calls->status(calls->context);
    control_answer(client, text, strlen(text), true);
}

static void answer_text(struct client *client, const char *text)
{
    control_answer(client, text, strlen(text), true);
}

/* The first line; what is behind it stays. */
static void read_question(struct client *client)
{
    struct buf *in = &client->in;
    const char *newline = in->bytes > 0 ? memchr(in->data, '\n', in->bytes) : NULL;
    size_t bytes = newline ? (size_t)(newline - in->data) : in->bytes;
    char line[LINE_MOST + 1] = "";
    if (bytes > LINE_MOST || (!newline && client->ended)) {
        control_close(client);
        return;
    }
    if (!newline)
        return;
    memcpy(line, in->data, bytes);
    if (strcmp(line, "send") == 0 && client->control->sender_count == SENDERS_MOST) {
        control_read_stop(client);
        answer_text(client, "failed too many others send\n");
        return;
    }
    if (strcmp(line, "send") == 0) {
        client->sends = true;
        client->control->sender_count++;
        client->waits_ms = 0; /* its first message has its own time */
        memmove(in->data, newline + 1, in->bytes - bytes - 1);
        in->bytes -= bytes + 1;
        control_take_first(client);
        return;
    }
    control_read_stop(client);
    if (strcmp(line, "status") == 0) {
        answer_status(client);
    } else if (strcmp(line, "look") == 0) {
        client->control->calls.look(client->control->calls.context);
        answer_text(client, "ok\n");
    } else {
        answer_text(client, "wrong: status, look and send are known here\n");
    }
}

/* ---- reading ---- */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    static char room[64 * 1024]; /* nothing of it is kept between two reads */
    (void)handle;
    (void)suggested;
    *ret = uv_buf_init(room, sizeof room);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *room)
{
    struct client *client = stream->data;
    if (got == 0)
        return;
    if (got < 0) {
        control_read_stop(client);
        client->ended = true;
        if (got != UV_EOF) {
            control_close(client);
            return;
        }
    } else if (buf_append(&client->in, room->base, (size_t)got) != 0) {
        control_close(client);
        return;
    }
    if (client->sends)
        control_take(client);
    else
        read_question(client);
    control_close_if_done(client);
}

void control_read_on(struct client *client)
{
    if (client->reads || client->closing || client->ended || client->unread >= UNREAD_MOST)
        return;
    client->reads = uv_read_start((uv_stream_t *)&client->pipe, on_room, on_read) == 0;
}

void control_read_stop(struct client *client)
{
    if (client->reads)
        uv_read_stop((uv_stream_t *)&client->pipe);
    client->reads = false;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct control *control = listener->data;
    if (status < 0 || control->closing)
        return;
    struct client *client = xcalloc(1, sizeof *client);
    client->control = control;
    client->open_handles = 2;
    client->waits_ms = clock_uptime_ms();
    buf_init(&client->in, IN_MOST);
    uv_pipe_init(control->loop, &client->pipe, 0);
    uv_timer_init(control->loop, &client->again);
    client->pipe.data = client->again.data = client;
    LIST_INSERT_HEAD(&control->clients, client, list);
    control->client_count++;
    if (uv_accept(listener, (uv_stream_t *)&client->pipe) != 0 || control->client_count > CLIENTS_MOST)
        control_close(client);
    else
        control_read_on(client);
}

/* One that was asked to read, or stopped in the middle of a message. */
static void on_sweep(uv_timer_t *timer)
{
    struct control *control = timer->data;
    int64_t now_ms = clock_uptime_ms();
    struct client *client, *next;
    for (client = LIST_FIRST(&control->clients); client; client = next) {
        next = LIST_NEXT(client, list);
        if (client->waits_ms != 0 && now_ms - client->waits_ms > PATIENCE_MS)
            control_close(client);
    }
}

/* ---- the socket ---- */

/* A socket is left behind by a process that was killed. */
static bool is_in_use(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool used = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN;
    close(fd);
    return used;
}

/* 0 or -Exxx. */
static int listen_at(struct control *control)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    if (strlen(control->path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strncpy(address.sun_path, control->path, sizeof address.sun_path - 1);
    if (lstat(control->path, &status) == 0) {
        if (!S_ISSOCK(status.st_mode))
            return -EEXIST;
        if (is_in_use(&address))
            return -EADDRINUSE;
        unlink(control->path);
    }
    int error = uv_pipe_bind(&control->listener, control->path);
    if (error == 0 && chmod(control->path, 0660) != 0)
        error = -errno;
    if (error == 0)
        error = uv_listen((uv_stream_t *)&control->listener, BACKLOG, on_connection);
    return error;
}

struct control *control_new(uv_loop_t *loop, const char *path, struct intake *intake, struct queue *queue,
                            const struct control_calls *calls)
{
    struct control *control = xcalloc(1, sizeof *control);
    *control = (struct control){
        .loop = loop, .path = path, .intake = intake, .queue = queue, .calls = *calls, .open_handles = 2};
    LIST_INIT(&control->clients);
    uv_pipe_init(loop, &control->listener, 0);
    uv_timer_init(loop, &control->sweep);
    control->listener.data = control->sweep.data = control;
    uv_timer_start(&control->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    int error = listen_at(control);
    control->listening = error == 0;
    if (error == -ENOENT || error == -EACCES)
        log_notice(
            EVENT_SOCKET_UNAVAILABLE,
            "%s: there is no such directory, or sluice may not write there; sluice status and sluice send "
            "work without the socket ([daemon] socket names another path)",
            path);
    else if (error != 0)
        log_warning(EVENT_SOCKET_UNAVAILABLE, "%s: %s; sluice status and sluice send work without the socket",
                    path, strerror(-error));
    return control;
}

static void on_closed(uv_handle_t *handle)
{
    struct control *control = handle->data;
    control->open_handles--;
    free_control_when_done(control);
}

void control_free(struct control *control)
{
    if (!control)
        return;
    control->closing = true;
    while (!LIST_EMPTY(&control->clients))
        control_close(LIST_FIRST(&control->clients));
    uv_close((uv_handle_t *)&control->listener, on_closed);
    uv_close((uv_handle_t *)&control->sweep, on_closed);
}
