/* net/watch.h - waits for events of sockets, on the loop.
 *
 * A socket is permanent or temporary. A permanent one is added when it is opened
 * (watch_keep) and removed before it is closed (watch_forget). In between, it costs no
 * system call to want no events of it, nor to want the same events again. A temporary one
 * is added with the first events that are wanted of it, and removed when none are wanted.
 */
#ifndef SLUICE_WATCH_H
#define SLUICE_WATCH_H

#include <uv.h>

struct watch_set;

/* Called by the loop: status < 0 and no events when the socket has an error, otherwise 0 and
 * the wanted events that occurred. May change any socket of the set, and free the set. */
typedef void watch_fn(void *context, int fd, int status, int events);

struct watch_set *watch_set_new(uv_loop_t *loop, watch_fn *call, void *context);

/* Adds fd as a permanent socket, of which no events are wanted yet. If an earlier socket had
 * the same number, it is removed. Returns 0, or -errno when fd cannot be watched. */
int watch_keep(struct watch_set *set, int fd);

/* Sets the wanted events of fd (UV_READABLE, UV_WRITABLE, both, or 0). Returns 0, or -errno
 * when fd cannot be watched. */
int watch_want(struct watch_set *set, int fd, int events);

/* Removes fd, which is about to be closed. fd need not be in the set. */
void watch_forget(struct watch_set *set, int fd);

/* Removes all sockets. Their memory is freed when the loop has run once more. NULL is
 * allowed. */
void watch_set_free(struct watch_set *set);

#endif
