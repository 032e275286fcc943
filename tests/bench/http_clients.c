/* http_clients.c - clients that post readings over plain HTTP, each as fast as it gets
 * responses, or evenly spaced.
 *
 *     http_clients PORT CLIENTS MILLISECONDS EACH_MS
 *
 * Each client keeps its connection. It sends a reading of 120 bytes to a path of its own as
 * soon as it has the response to the previous one, but at least EACH_MS after that one. It
 * replaces a broken connection. Prints the number of requests and of 2xx responses.
 */
#include "workload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_BYTES     120
#define RESPONSE_BYTES 4096

struct client {
    int fd; /* -1: not connected */
    unsigned number;
    bool waiting; /* for a response */
    int64_t due_ns;
    char response[RESPONSE_BYTES + 1];
    size_t bytes;
};

static unsigned long sent, accepted;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static bool connect_client(struct client *client, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        fail("socket");
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(client->fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return true;
    close(client->fd);
    client->fd = -1;
    return false;
}

static void hang_up(struct client *client)
{
    close(client->fd);
    client->fd = -1;
    client->waiting = false;
}

static void send_reading(struct client *client)
{
    char request[512];
    int head = snprintf(request, sizeof(request),
                        "POST /api/collections/c%u?user_key=k HTTP/1.1\r\nHost: pi\r\n"
                        "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n",
                        client->number, BODY_BYTES);
    int body = snprintf(request + head, sizeof(request) - (size_t)head, "{\"n\":%lu,\"x\":\"", sent);

    memset(request + head + body, 'x', (size_t)(BODY_BYTES - body));
    memcpy(request + head + BODY_BYTES - 2, "\"}", 2);
    client->bytes = 0;
    client->waiting = true;
    sent++;
    if (send(client->fd, request, (size_t)head + BODY_BYTES, MSG_NOSIGNAL) != head + BODY_BYTES)
        hang_up(client);
}

/* Whether the response is complete. */
static bool is_complete(const struct client *client)
{
    const char *end = strstr(client->response, "\r\n\r\n");
    const char *length = strcasestr(client->response, "\r\nContent-Length: ");

    return end && length && length < end &&
           client->bytes >= (size_t)(end + 4 - client->response) + strtoul(length + 18, NULL, 10);
}

static void receive(struct client *client)
{
    ssize_t got = recv(client->fd, client->response + client->bytes, RESPONSE_BYTES - client->bytes, 0);

    if (got <= 0) {
        hang_up(client);
        return;
    }
    client->bytes += (size_t)got;
    client->response[client->bytes] = '\0';
    if (!is_complete(client))
        return;
    if (client->response[9] == '2')
        accepted++;
    client->waiting = false;
    if (strcasestr(client->response, "\r\nConnection: close"))
        hang_up(client);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: http_clients PORT CLIENTS MILLISECONDS EACH_MS\n");
        return 2;
    }
    int port = (int)strtol(argv[1], NULL, 10);
    unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
    int64_t end_ns = workload_now_ns() + strtol(argv[3], NULL, 10) * 1000000;
    int64_t each_ns = strtol(argv[4], NULL, 10) * 1000000;
    struct client *clients = calloc(count, sizeof(*clients));
    struct pollfd *fds = calloc(count, sizeof(*fds));

    if (!clients || !fds)
        return 1;
    for (unsigned i = 0; i < count; i++)
        clients[i] =
            (struct client){.fd = -1, .number = i, .due_ns = workload_now_ns() + each_ns * i / count};
    for (int64_t now_ns; (now_ns = workload_now_ns()) < end_ns + 2000000000;) {
        bool ending = now_ns >= end_ns, idle = true;

        for (unsigned i = 0; i < count; i++) {
            struct client *client = &clients[i];

            if (!ending && !client->waiting && client->due_ns <= now_ns &&
                (client->fd >= 0 || connect_client(client, port))) {
                client->due_ns = each_ns > 0 ? client->due_ns + each_ns : now_ns;
                send_reading(client);
            }
            fds[i] = (struct pollfd){.fd = client->waiting ? client->fd : -1, .events = POLLIN};
            idle = idle && !client->waiting;
        }
        if (ending && idle)
            break;
        if (poll(fds, count, 1) < 0 && errno != EINTR)
            fail("poll");
        for (unsigned i = 0; i < count; i++)
            if (fds[i].revents)
                receive(&clients[i]);
    }
    printf("%lu %lu\n", sent, accepted);
    return 0;
}
