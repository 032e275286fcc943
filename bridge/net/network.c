/* net/network.c - see net/network.h.
 *
 * The kernel reports changes on a netlink socket (rtnetlink(7)). It also reports what is no change:
 * each router advertisement renews an address, each scan of a Wi-Fi card is news of its interface. And
 * it drops reports that nobody reads in time. So a report only makes us look, a moment later, at what
 * the machine has: what is in the new list and was not in the old one is news.
 *
 * A default route shows itself as the address that the kernel would send from to a far host: a UDP
 * socket that is connected sends nothing.
 */
#include "net/network.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LOOK_AFTER_MS = 250, /* changes come in groups */
    LIST_BYTES = 256 * 1024,
    NEWS_BYTES = 256, /* for the log */
    READS_MOST = 64,  /* in one go */
};

struct network {
    network_back_fn *call;
    void *context;
    int fd;
    uv_poll_t poll;
    uv_timer_t look;
    int open_handles;
    struct buf known; /* what the machine had, as list_all() writes it */
};

/* ---- what the machine has ---- */

/* Empty: an address with which nobody else can be reached. */
static const char *format(const struct sockaddr *address, char text[static INET6_ADDRSTRLEN])
{
    text[0] = '\0';
    if (address && address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, INET6_ADDRSTRLEN);
    if (address && address->sa_family == AF_INET6 &&
        !IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)address)->sin6_addr))
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, INET6_ADDRSTRLEN);
    return text;
}

static void list_addresses(struct buf *list)
{
    const unsigned up = IFF_UP | IFF_RUNNING; /* running: with a carrier */
    char text[INET6_ADDRSTRLEN];
    struct ifaddrs *all;
    if (getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *one = all; one; one = one->ifa_next)
        if ((one->ifa_flags & (up | IFF_LOOPBACK)) == up && format(one->ifa_addr, text)[0] != '\0')
            buf_printf(list, "%s has %s\n", one->ifa_name, text);
    freeifaddrs(all);
}

static void list_source(struct buf *list, const struct sockaddr *far, socklen_t bytes)
{
    char text[INET6_ADDRSTRLEN];
    struct sockaddr_storage source;
    socklen_t source_bytes = sizeof source;
    int fd = socket(far->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, far, bytes) == 0 && getsockname(fd, (struct sockaddr *)&source, &source_bytes) == 0 &&
        format((const struct sockaddr *)&source, text)[0] != '\0')
        buf_printf(list, "a route from %s\n", text);
    close(fd);
}

/* A line each, after an empty one. */
static void list_all(struct buf *list)
{
    /* Addresses of no network: for documentation (RFC 5737, RFC 3849). */
    struct sockaddr_in far = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct sockaddr_in6 far6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    inet_pton(AF_INET, "192.0.2.1", &far.sin_addr);
    inet_pton(AF_INET6, "2001:db8::1", &far6.sin6_addr);
    buf_append_char(list, '\n');
    list_addresses(list);
    list_source(list, (const struct sockaddr *)&far, sizeof far);
    list_source(list, (const struct sockaddr *)&far6, sizeof far6);
}

/* Appends the lines of `now` that `known` has not, with commas. */
static void find_news(const struct buf *known, const struct buf *now, struct buf *news)
{
    const char *end = buf_text(now); /* of the line before */
    for (const char *next; (next = strchr(end + 1, '\n')); end = next)
        if (!memmem(buf_text(known), known->bytes, end, (size_t)(next + 1 - end)))
            buf_printf(news, "%s%.*s", news->bytes > 0 ? ", " : "", (int)(next - end - 1), end + 1);
}

/* ---- looking ---- */

static void on_look(uv_timer_t *timer)
{
    struct network *network = timer->data;
    struct buf now, news cleanup_buf;
    buf_init(&now, LIST_BYTES);
    buf_init(&news, NEWS_BYTES);
    list_all(&now);
    find_news(&network->known, &now, &news);
    buf_done(&network->known);
    network->known = now;
    log_debug(EVENT_NETWORK_CHANGED, "%s", news.bytes > 0 ? buf_text(&news) : "nothing new");
    if (news.bytes > 0)
        network->call(network->context, buf_text(&news));
}

/* The reports are read and not understood. An error means that some were dropped. */
static void on_report(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct network *network = poll->data;
    char report[8192];
    ssize_t got = 1;
    for (int i = 0; i < READS_MOST && got > 0; i++)
        got = recv(network->fd, report, sizeof report, MSG_DONTWAIT);
    if (status < 0)
        uv_poll_start(poll, UV_READABLE, on_report); /* libuv stopped it */
    if (!uv_is_active((uv_handle_t *)&network->look))
        uv_timer_start(&network->look, on_look, LOOK_AFTER_MS, 0);
}

/* ---- life ---- */

static int open_socket(void)
{
    const struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
                                       .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                                                    RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&groups, sizeof groups) == 0)
        return fd;
    int error = errno;
    if (fd >= 0)
        close(fd);
    return -error;
}

struct network *network_new(uv_loop_t *loop, network_back_fn *call, void *context)
{
    struct network *network = xcalloc(1, sizeof *network);
    network->call = call;
    network->context = context;
    buf_init(&network->known, LIST_BYTES);
    uv_timer_init(loop, &network->look);
    network->open_handles = 1;
    network->look.data = network->poll.data = network;
    int error = network->fd = open_socket();
    if (error >= 0)
        error = uv_poll_init(loop, &network->poll, network->fd);
    if (error < 0) {
        log_info(EVENT_NETWORK_UNWATCHED, "netlink: %s: pauses do not end early when it comes back",
                 strerror(-error));
        if (network->fd >= 0)
            close(network->fd);
        network->fd = -1;
        return network;
    }
    network->open_handles++;
    uv_poll_start(&network->poll, UV_READABLE, on_report);
    list_all(&network->known);
    return network;
}

static void on_closed(uv_handle_t *handle)
{
    struct network *network = handle->data;
    if (--network->open_handles > 0)
        return;
    buf_done(&network->known);
    free(network);
}

void network_free(struct network *network)
{
    if (!network)
        return;
    uv_close((uv_handle_t *)&network->look, on_closed);
    if (network->fd < 0)
        return;
    uv_close((uv_handle_t *)&network->poll, on_closed); /* leaves epoll at once */
    close(network->fd);
}
