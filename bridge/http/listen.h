/* http/listen.h - the sockets on which HTTP clients come, on the loop.
 *
 * An address that cannot be listened on yet (the network comes up after sluice, an
 * old process still has the port) is told of once and tried again: the rest of
 * sluice works meanwhile.
 */
#ifndef SLUICE_HTTPD_LISTEN_H
#define SLUICE_HTTPD_LISTEN_H

#include "config/config.h"
#include "text/status.h"
#include <uv.h>

struct httpd_listen;

struct httpd_listen_calls {
    /* How many connections there are, of all clients and of this one (may be NULL). */
    void (*count)(void *context, const struct address *client, unsigned *ret_all, unsigned *ret_same);
    /* Takes over a socket, which does not block. */
    void (*accepted)(void *context, int fd, const struct address *client);
};

/* Keeps what it is given. */
struct httpd_listen *httpd_listen_new(uv_loop_t *loop, const struct config_http *config,
                                      const struct httpd_listen_calls *calls, void *context);
/* Another configuration: addresses that stay are listened on all the time. */
void httpd_listen_reconfigure(struct httpd_listen *listen, const struct config_http *config);
/* Appends an object for each address: whether it is listened on, and why not. listen may
 * be NULL: there are none. */
void httpd_listen_describe(const struct httpd_listen *listen, struct cJSON *array);
/* Once a second, and when a connection ended. */
void httpd_listen_look(struct httpd_listen *listen);
/* Closes its sockets; lets go of the memory when the loop has run once more. Takes NULL. */
void httpd_listen_free(struct httpd_listen *listen);

#endif
