/* cmd/client.c - asks a running sluice; see cmd/client.h. */
#include "cmd/client.h"
#include "base/buf.h"
#include "control/protocol.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { WAIT_MS = 5000, RELOAD_WAIT_MS = 60000, RESPONSE_MOST_BYTES = 16 * 1024 * 1024 };

static int stat_directory(const char *path, struct stat *ret)
{
    cleanup_free char *copy = xstrdup(path);
    return stat(dirname(copy), ret);
}

bool client_trusts(const struct config_place *place, uid_t user)
{
    struct stat found;
    if (user == 0 || user == geteuid() || (place->service != 0 && user == place->service) ||
        (stat(place->queue, &found) == 0 && found.st_uid == user))
        return true;
    return (stat_directory(place->queue, &found) == 0 || stat_directory(place->socket, &found) == 0) &&
           found.st_uid == user;
}

/* The user of the process that listens there (unix(7)) is trusted. */
static bool is_trusted(int fd, const struct config_place *place)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && client_trusts(place, peer.uid);
}

int client_connect(const struct config_place *place)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(place->socket) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strncpy(address.sun_path, place->socket, sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int error = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : -errno;
    if (error == 0 && is_trusted(fd, place))
        return fd;
    close(fd);
    return error != 0 ? error : -EPERM;
}

/* Reads until sluice closes the connection. */
static int read_response(int fd, int wait_ms, struct buf *response)
{
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int count = poll(&ready, 1, wait_ms);
        if (count == 0)
            return -ETIMEDOUT;
        if (count < 0 && errno == EINTR)
            continue;
        char piece[16 * 1024];
        ssize_t got = read(fd, piece, sizeof piece);
        if (got < 0)
            return -errno;
        if (got == 0)
            return 0;
        if (buf_append(response, piece, (size_t)got) != 0)
            return -EBADMSG;
    }
}

static int ask(const struct config_place *place, const char *request, int wait_ms, struct buf *response)
{
    int fd = client_connect(place);
    if (fd < 0)
        return fd;
    size_t bytes = strlen(request);
    int error = send(fd, request, bytes, MSG_NOSIGNAL) == (ssize_t)bytes ? 0 : -EIO;
    if (error == 0)
        error = read_response(fd, wait_ms, response);
    close(fd);
    return error;
}

int client_status(const struct config_place *place, cJSON **ret)
{
    struct buf response cleanup_buf;
    buf_init(&response, RESPONSE_MOST_BYTES);
    int error = ask(place, CONTROL_STATUS "\n", WAIT_MS, &response);
    if (error != 0)
        return error;
    cJSON *json = cJSON_ParseWithLength(buf_text(&response), response.bytes);
    if (cJSON_IsObject(json)) {
        *ret = json;
        return 0;
    }
    cJSON_Delete(json);
    return -EBADMSG;
}

int client_seen(const struct config_place *place)
{
    struct buf response cleanup_buf;
    buf_init(&response, RESPONSE_MOST_BYTES);
    return ask(place, CONTROL_SEEN "\n", WAIT_MS, &response);
}

void client_look(const struct config_place *place)
{
    struct buf response cleanup_buf;
    buf_init(&response, RESPONSE_MOST_BYTES);
    ask(place, CONTROL_LOOK "\n", WAIT_MS, &response);
}

/* While requests are in flight, a reload waits for a moment; while the disk does not respond, for
 * longer. */
int client_reload(const struct config_place *place, bool *ret_refused, char **ret_lines)
{
    static const char ok[] = CONTROL_OK "\n", refused[] = CONTROL_REFUSED "\n";
    struct buf response cleanup_buf;
    buf_init(&response, RESPONSE_MOST_BYTES);
    int error = ask(place, CONTROL_RELOAD "\n", RELOAD_WAIT_MS, &response);
    if (error != 0)
        return error;
    const char *text = buf_text(&response);
    *ret_refused = strncmp(text, refused, strlen(refused)) == 0;
    if (!*ret_refused && strncmp(text, ok, strlen(ok)) != 0)
        return -EBADMSG;
    *ret_lines = xstrdup(strchr(text, '\n') + 1);
    return 0;
}

/* A line is like
 *     ffff8880: 00000002 00000000 00010000 0001 01 4711 /run/sluice/sluice.sock */
bool client_next_listener(FILE *sockets, char ret_name[CLIENT_NAME_BYTES])
{
    enum { LISTENS = 1 << 16 }; /* __SO_ACCEPTCON of the kernel, net/unix/af_unix.c */
    char line[256];
    unsigned flags;
    while (sockets && fgets(line, sizeof line, sockets))
        if (sscanf(line, "%*x: %*x %*x %x %*x %*x %*u %119[^\n]", &flags, ret_name) == 2 && (flags & LISTENS))
            return true;
    return false;
}

bool client_listens(const char *path)
{
    FILE *sockets = fopen(CLIENT_LISTENERS, "re");
    char name[CLIENT_NAME_BYTES];
    bool found = false;
    while (!found && client_next_listener(sockets, name))
        found = strcmp(name, path) == 0;
    if (sockets)
        fclose(sockets);
    return found;
}

/* Whether the kernel lets its main thread wait for a disk: state D, proc(5). */
static bool waits_for_disk(pid_t pid)
{
    cleanup_free char *path = xasprintf("/proc/%d/status", (int)pid);
    char line[200], state = '\0';
    FILE *file = pid > 0 ? fopen(path, "re") : NULL;
    while (file && state == '\0' && fgets(line, sizeof line, file))
        sscanf(line, "State: %c", &state);
    if (file)
        fclose(file);
    return state == 'D';
}

char *client_why(int error, const char *path, pid_t pid)
{
    switch (error) {
    case -EACCES:
        return xasprintf("%s: permission denied: members of the group sluice may ask, or use sudo", path);
    case -EPERM:
        return xasprintf("a process of another user than sluice's listens at %s, and was not asked; choose a "
                         "directory for the socket that belongs to sluice",
                         path);
    case -ENOENT:
        if (client_listens(path))
            return xasprintf("its socket %s was moved or deleted. If its directory was moved, move it back; "
                             "if only the socket is gone, restart sluice",
                             path);
        /* fall through */
    case -ECONNREFUSED:
        return xasprintf("it does not listen at %s: it starts or stops just now, or its log has the reason",
                         path);
    case -ETIMEDOUT:
        if (waits_for_disk(pid))
            return xstrdup("it waits for the disk, which does not finish an operation: nothing is stored or "
                           "acknowledged until it does");
        return xasprintf("it does not respond at %s: it is very busy, or it hangs", path);
    case -EIO:
    case -EBADMSG:
    case -ECONNRESET:
        return xasprintf("it closed the connection at %s: it has too many clients, or it stops just now",
                         path);
    default:
        return xasprintf("%s: %s", path, strerror(-error));
    }
}
