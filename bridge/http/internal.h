/* http/internal.h - a server and its requests, as http/server.c and http/request.c share them. */
#ifndef SLUICE_HTTP_INTERNAL_H
#define SLUICE_HTTP_INTERNAL_H

#include "base/buf.h"
#include "config/config.h"
#include "http/request.h"
#include <microhttpd.h>
#include <sys/queue.h>
#include <uv.h>

enum { HEAD_BYTES = 16 * 1024 }; /* libmicrohttpd's memory for a connection: a longer head gets 431 */

/* A connection. */
struct client {
    struct http_server *server;
    int fd;
    struct address address;
    int64_t since_ms; /* its time-out began */
    bool in_line;
    bool responding;          /* the response to a whole request is being sent */
    TAILQ_ENTRY(client) line; /* those whose time-out runs, the oldest first */
    LIST_ENTRY(client) list;
};

enum state { ARRIVING, BODY, WAITING, RESPONDED };

struct http_request {
    struct client *client;
    struct MHD_Connection *connection;
    enum state state;
    const char *line; /* libmicrohttpd's own copy of the target */
    char *target;
    const char *method;
    bool takes_body;
    struct buf body;
    bool expects; /* it waits for 100 Continue before it sends its body */
    uint64_t length;
    struct MHD_Response *response; /* not NULL: it is responded to */
    unsigned status;
    size_t response_bytes;
};

/* Requests, by their responses. */
struct counts {
    uint64_t stored, repeated, passed_on, refused, sent_away;
};

TAILQ_HEAD(client_line, client);
LIST_HEAD(client_list, client);

struct http_server {
    const struct config_http *config;
    const struct http_calls *calls;
    void *context;
    void (*wake)(struct http_server *server); /* http/server.c: there is more to do */
    struct MHD_Daemon *daemon;
    struct http_listen *listen;
    struct watch_set *watches;
    uv_timer_t look;
    uv_idle_t soon; /* there is more to do, and no event will come */
    int open_handles;
    struct client *arriving; /* while it is given to libmicrohttpd */
    struct client_list clients;
    struct client_line line;
    unsigned client_count;
    size_t body_bytes;     /* of requests that are kept */
    size_t response_bytes; /* that are not sent yet */
    struct counts counts;
    bool flush_due;
    bool running;
};

/* ---- http/request.c ---- */
/* Callbacks of libmicrohttpd, for its options of the same name. */
void *http_on_target(void *server, const char *target, struct MHD_Connection *connection);
enum MHD_Result http_on_request(void *server, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *data, size_t *bytes,
                                void **ret_request);
void http_on_completed(void *server, struct MHD_Connection *connection, void **ret_request,
                       enum MHD_RequestTerminationCode code);
/* The client has the whole time-out from now on; or none runs. */
void http_restart_time(struct client *client);
void http_stop_time(struct client *client);

#endif
