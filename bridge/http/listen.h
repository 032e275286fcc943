/* http/listen.h - the sockets on which HTTP clients come, on the loop.
 *
 * An address that cannot be listened on yet (the network comes up after sluice, an old
 * process still has the port) is logged and tried again; the rest of sluice works meanwhile.
 */
#ifndef SLUICE_HTTP_LISTEN_H
#define SLUICE_HTTP_LISTEN_H

#include "config/config.h"
#include "text/status.h"
#include <uv.h>

struct http_listen;

struct http_listen_calls {
    /* How many connections there are, of all clients and of this one (may be NULL). */
    void (*count)(void *context, const struct address *client, unsigned *ret_all, unsigned *ret_same);
    /* Closes the connection that has waited longest for a whole request, of this client or (NULL)
     * of all. False: each connection has a request that is being dealt with. */
    bool (*make_room)(void *context, const struct address *client);
    /* Whether make_room() can do so. */
    bool (*has_idle)(void *context);
    /* Takes over a socket, which does not block. */
    void (*accepted)(void *context, int fd, const struct address *client);
};

/* Keeps what it is given. */
struct http_listen *http_listen_new(uv_loop_t *loop, const struct config_http *config,
                                    const struct http_listen_calls *calls, void *context);
/* Another configuration; addresses that it keeps stay open. */
void http_listen_reconfigure(struct http_listen *listen, const struct config_http *config);
/* Appends an object for each address: whether it is listened on, and why not. listen may
 * be NULL: there are none. */
void http_listen_describe(const struct http_listen *listen, struct cJSON *array);
/* Once a second, and when a connection ended. */
/* Returns whether there is nothing to try again. */
bool http_listen_look(struct http_listen *listen);
/* Closes its sockets. The memory is released when the loop has run once more. Takes NULL. */
void http_listen_free(struct http_listen *listen);

#endif
