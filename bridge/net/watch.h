/* net/watch.h - the sockets that somebody waits for, on the loop.
 *
 * A socket is either kept or passing. A kept one is made known once, when it is
 * opened (watch_keep), and forgotten before it is closed; between these, wanting
 * nothing of it costs nothing, nor does wanting the same events again. A passing
 * one is known from the first events that are wanted of it until none are.
 */
#ifndef SLUICE_WATCH_H
#define SLUICE_WATCH_H

#include <uv.h>

struct watch_set;

/* Called from the loop: status < 0 with no events when the socket has an error,
 * otherwise 0 and those of the wanted events that have come. May do anything
 * with any socket of the set, and free the set. */
typedef void watch_fn(void *context, int fd, int status, int events);

struct watch_set *watch_set_new(uv_loop_t *loop, watch_fn *call, void *context);

/* Has fd kept, and nothing wanted of it yet. Its number may be known from an
 * earlier socket, which is forgotten. Returns 0, or -errno when it cannot be
 * watched. */
int watch_keep(struct watch_set *set, int fd);

/* The events (UV_READABLE, UV_WRITABLE, both, or 0 for none) that are wanted of
 * fd from now on. Returns 0, or -errno when it cannot be watched. */
int watch_want(struct watch_set *set, int fd, int events);

/* fd is about to be closed. Any number may be given. */
void watch_forget(struct watch_set *set, int fd);

/* Forgets all; lets go of the memory when the loop has run once more. Takes NULL. */
void watch_set_free(struct watch_set *set);

#endif
