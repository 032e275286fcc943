/* net/watch.c - waits for events of sockets, on the loop.
 *
 * curl stops waiting for a connection's socket after every request, and starts again with
 * the next one. To create and close a uv_poll_t each time takes six system calls, for a
 * request that otherwise takes five. So the uv_poll_t of a permanent socket lives as long
 * as the socket:
 *
 *                       wanted (by curl)        watched (by libuv and epoll)
 *     watch_keep        0                       0
 *     watch_want(IN)    IN                      IN
 *     watch_want(0)     0                       IN      <- no system call
 *     watch_want(IN)    IN                      IN      <- none either
 *     watch_want(0)     0                       IN
 *     it is readable    0                       0       <- the peer closed it, for example
 *
 * Events that are no longer wanted stay watched until one occurs. Then the watch must end,
 * or the loop would spin. Only the change to no events is delayed in this way. A socket that
 * is watched for writing although only reading is wanted would be ready at once, so a
 * change from some events to others takes effect immediately.
 *
 * epoll forgets a socket that is closed, and the next socket gets its number. libuv must
 * know that before (watch_forget). Otherwise it mistakes the new socket for the old one, and
 * never watches it.
 *
 * Rejected: an epoll descriptor of our own inside the loop's. It saves the same calls, but
 * needs an epoll_wait() in every round, and must again solve what libuv has solved: events of
 * one round for a socket that was closed earlier in the same round.
 */
#include "net/watch.h"
#include "base/base.h"

#include <assert.h>
#include <stdbool.h>

struct watch {
    uv_poll_t poll;
    struct watch_set *set;
    int fd;
    bool permanent;
    int wanted;
    int watched;
};

struct watch_set {
    uv_loop_t *loop;
    watch_fn *call;
    void *context;
    struct watch **by_fd; /* NULL: not in the set */
    size_t size;
};

struct watch_set *watch_set_new(uv_loop_t *loop, watch_fn *call, void *context)
{
    struct watch_set *set = xcalloc(1, sizeof *set);
    *set = (struct watch_set){.loop = loop, .call = call, .context = context};
    return set;
}

static struct watch *find(const struct watch_set *set, int fd)
{
    return fd >= 0 && (size_t)fd < set->size ? set->by_fd[fd] : NULL;
}

static void enter(struct watch_set *set, struct watch *watch)
{
    size_t fd = (size_t)watch->fd;
    if (fd >= set->size) {
        size_t size = 2 * fd + 1;
        set->by_fd = xrealloc(set->by_fd, size * sizeof *set->by_fd);
        while (set->size < size)
            set->by_fd[set->size++] = NULL;
    }
    assert(!set->by_fd[fd]);
    set->by_fd[fd] = watch;
}

static int add(struct watch_set *set, int fd, bool permanent, struct watch **ret_watch)
{
    struct watch *watch = xcalloc(1, sizeof *watch);
    *watch = (struct watch){.set = set, .fd = fd, .permanent = permanent};
    int error = uv_poll_init_socket(set->loop, &watch->poll, fd);
    if (error != 0) {
        free(watch);
        return error;
    }
    watch->poll.data = watch;
    enter(set, watch);
    *ret_watch = watch;
    return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    if (status < 0)
        watch->watched = 0; /* libuv stopped it */
    if (watch->wanted != 0) {
        watch->set->call(watch->set->context, watch->fd, status, events); /* may free watch */
        return;
    }
    uv_poll_stop(poll);
    watch->watched = 0;
}

int watch_keep(struct watch_set *set, int fd)
{
    struct watch *watch;
    watch_forget(set, fd);
    return add(set, fd, true, &watch);
}

int watch_want(struct watch_set *set, int fd, int events)
{
    struct watch *watch = find(set, fd);
    if (events == 0) {
        if (watch && watch->permanent)
            watch->wanted = 0;
        else
            watch_forget(set, fd);
        return 0;
    }
    int error = watch ? 0 : add(set, fd, false, &watch);
    if (error != 0)
        return error;
    watch->wanted = events;
    if (watch->watched == events)
        return 0;
    error = uv_poll_start(&watch->poll, events, on_poll);
    watch->watched = error == 0 ? events : 0;
    return error;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void watch_forget(struct watch_set *set, int fd)
{
    struct watch *watch = find(set, fd);
    if (!watch)
        return;
    set->by_fd[fd] = NULL;
    uv_close((uv_handle_t *)&watch->poll, on_closed);
}

void watch_set_free(struct watch_set *set)
{
    if (!set)
        return;
    for (size_t fd = 0; fd < set->size; fd++)
        watch_forget(set, (int)fd);
    free(set->by_fd);
    free(set);
}
