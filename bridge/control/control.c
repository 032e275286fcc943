/* control/control.c - the socket, and what clients request; see control/control.h. */
#include "control/control.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/client.h"
#include "control/protocol.h"
#include "control/send.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 16 };

/* ---- clients ---- */

static void free_when_done(struct control *control)
{
    if (control->closing && control->open_handles == 0 && control->client_count == 0)
        free(control);
}

static void on_client_closed(struct control *control, bool sends)
{
    control->client_count--;
    control->sender_count -= sends;
    free_when_done(control);
}

static void respond(struct control_client *client, const char *text)
{
    control_client_stop_reading(client);
    control_client_respond(client, text, strlen(text), true);
}

static void respond_status(struct control_client *client)
{
    const struct control_calls *calls = &client->control->calls;
    cleanup_free char *text = calls->status(calls->context);
    respond(client, text);
}

void control_reloaded(struct control *control, const char *text)
{
    struct control_client *client, *next;
    for (client = control ? LIST_FIRST(&control->clients) : NULL; client; client = next) {
        next = LIST_NEXT(client, list);
        if (client->waits_for_reload) {
            client->waits_for_reload = false;
            respond(client, text);
        }
    }
}

/* The first line; what follows it stays. */
static void read_request(struct control_client *client)
{
    if (client->waits_for_reload)
        return;
    struct control *control = client->control;
    const struct buf *in = &client->in;
    const char *newline = in->bytes > 0 ? memchr(in->data, '\n', in->bytes) : NULL;
    size_t bytes = newline ? (size_t)(newline - in->data) : in->bytes;
    char line[CONTROL_REQUEST_MOST + 1] = "";
    if (bytes > CONTROL_REQUEST_MOST || (!newline && client->ended)) {
        control_client_close(client);
        return;
    }
    if (!newline)
        return;
    memcpy(line, in->data, bytes);
    if (strcmp(line, CONTROL_STATUS) == 0) {
        respond_status(client);
    } else if (strcmp(line, CONTROL_LOOK) == 0) {
        control->calls.look(control->calls.context);
        respond(client, CONTROL_OK "\n");
    } else if (strcmp(line, CONTROL_SEEN) == 0) {
        control->calls.seen(control->calls.context);
        respond(client, CONTROL_OK "\n");
    } else if (strcmp(line, CONTROL_RELOAD) == 0) {
        client->waits_ms = 0;
        client->waits_for_reload = true;
        control->calls.reload(control->calls.context);
    } else if (strcmp(line, CONTROL_SEND) != 0) {
        respond(client, "wrong: " CONTROL_STATUS ", " CONTROL_LOOK ", " CONTROL_SEEN ", " CONTROL_RELOAD
                        " and " CONTROL_SEND " are known here\n");
    } else if (control->sender_count == CONTROL_SENDERS_MOST) {
        cleanup_free char *text = xasprintf("%s too many others send\n", control_result_word(CONTROL_FAILED));
        respond(client, text);
    } else {
        control_client_consume(client, bytes + 1);
        control_send_begin(client);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct control *control = listener->data;
    if (status < 0 || control->closing)
        return;
    control->client_count++;
    pace_hurry(&control->sweep);
    struct control_client *client = control_client_accept(control, read_request, on_client_closed);
    if (control->client_count > CONTROL_CLIENTS_MOST)
        control_client_close(client);
}

/* ---- the socket ---- */

/* Whether it is not left over from a process that was killed. */
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

static void on_closed(uv_handle_t *handle)
{
    struct control *control = handle->data;
    control->open_handles--;
    free_when_done(control);
}

static void listen_again(uv_handle_t *handle)
{
    struct control *control = handle->data;
    if (control->closing) {
        on_closed(handle);
        return;
    }
    uv_pipe_init(control->loop, &control->listener, 0);
    control->listener.data = control;
    control->listens = listen_at(control) == 0;
}

/* A person who deletes the queue deletes the socket beside it, too. */
static void look_for_socket(struct control *control)
{
    struct stat status;
    cleanup_free char *copy = xstrdup(control->path);
    if (control->listens && lstat(control->path, &status) != 0 && errno == ENOENT &&
        access(dirname(copy), W_OK) == 0 && !uv_is_closing((uv_handle_t *)&control->listener))
        uv_close((uv_handle_t *)&control->listener, listen_again);
}

/* Closes clients that do not read, or that stopped in the middle of a line or a message. */
static bool on_sweep(void *context)
{
    struct control *control = context;
    int64_t now_ms = clock_uptime_ms();
    struct control_client *client, *next;
    for (client = LIST_FIRST(&control->clients); client; client = next) {
        next = LIST_NEXT(client, list);
        if (client->waits_ms != 0 && now_ms - client->waits_ms > CONTROL_PATIENCE_S * 1000)
            control_client_close(client);
    }
    look_for_socket(control);
    return !LIST_EMPTY(&control->clients);
}

struct control *control_new(uv_loop_t *loop, const char *path, struct intake *intake, struct queue *queue,
                            const struct control_calls *calls)
{
    struct control *control = xcalloc(1, sizeof *control);
    *control = (struct control){
        .loop = loop, .path = path, .intake = intake, .queue = queue, .calls = *calls, .open_handles = 2};
    LIST_INIT(&control->clients);
    uv_pipe_init(loop, &control->listener, 0);
    control->listener.data = control;
    pace_start(&control->sweep, loop, on_sweep, control);
    int error = listen_at(control);
    control->listens = error == 0;
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

void control_free(struct control *control)
{
    if (!control)
        return;
    control->closing = true;
    while (!LIST_EMPTY(&control->clients))
        control_client_close(LIST_FIRST(&control->clients));
    if (!uv_is_closing((uv_handle_t *)&control->listener))
        uv_close((uv_handle_t *)&control->listener, on_closed);
    uv_close((uv_handle_t *)&control->sweep.timer, on_closed);
}
