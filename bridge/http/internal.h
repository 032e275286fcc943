/* http/internal.h - a server, its connections and their requests, as the files of this room share
 * them. */
#ifndef SLUICE_HTTP_INTERNAL_H
#define SLUICE_HTTP_INTERNAL_H

#include "base/buf.h"
#include "config/config.h"
#include "http/chunks.h"
#include "http/head.h"
#include "http/request.h"
#include "net/pace.h"
#include <sys/queue.h>
#include <uv.h>

enum {
    READ_BYTES = 64 * 1024,
    RESPONSE_HEAD_BYTES = 4096,
    CONTENT_TYPE_BYTES = 1024, /* a longer one of the backend is not passed on */
};

/* A connection. */
struct client {
    struct http_server *server;
    uv_tcp_t socket;
    uv_shutdown_t shutdown;
    struct address address;
    int64_t since_ms; /* its time-out began */
    bool in_line;
    bool is_ready;
    bool ended;          /* the client sends nothing more */
    bool closing;        /* it got its last response; whatever comes is dropped */
    size_t unsent_bytes; /* of a response that is being sent */
    struct buf in;       /* what came; */
    size_t used;         /* so many bytes of it are used */
    struct http_request *request;
    TAILQ_ENTRY(client) line;  /* those whose time-out runs, the oldest first */
    TAILQ_ENTRY(client) ready; /* those whose next request may be here already */
    LIST_ENTRY(client) list;
};

struct http_request {
    struct client *client;
    enum { HEAD, BODY, WAITING } state;
    char *text; /* of the head, which points into it */
    struct head head;
    struct chunks chunks;
    uint64_t left; /* of a body with a length */
    struct buf body;
    size_t drained; /* bytes of the body that came after it was refused */
    /* The response, from http_respond until it is sent. */
    bool responded, close;
    struct buf response_head;
    char *response_body;
    size_t response_bytes;
};

/* Requests, by their responses. */
struct counts {
    uint64_t stored, repeated, passed_on, refused, sent_away;
};

TAILQ_HEAD(client_queue, client);
LIST_HEAD(client_list, client);

struct http_server {
    const struct config_http *config;
    const struct http_calls *calls;
    void *context;
    /* http/server.c: there is more to do. The round of the loop ends with the call `round`. */
    void (*wake)(struct http_server *server);
    struct http_listen *listen;
    struct pace look;
    uv_idle_t soon;   /* active: a client is ready */
    uv_check_t round; /* active: something came in this round of the loop */
    int open_handles; /* with those of connections */
    struct client_list clients;
    struct client_queue line, ready;
    unsigned client_count;
    bool has_place;        /* again: clients may wait for it */
    size_t body_bytes;     /* of requests that are kept */
    size_t response_bytes; /* that are not sent yet */
    struct counts counts;
    char read[READ_BYTES];
};

/* ---- http/client.c ---- */
/* The client has the whole time-out from now on; or none runs. */
void client_restart_time(struct client *client);
void client_stop_time(struct client *client);
/* Its next request may be here already: client_go_on() is called soon. */
void client_wake(struct client *client);
/* Closes the connection at once. It must not have a request that waits for its response. */
void client_drop(struct client *client);
/* The last response is sent: closes the connection so that the client gets it. */
void client_close(struct client *client);
void http_request_drop_body(struct http_request *request);
void http_request_free(struct http_request *request);

/* ---- http/response.c ---- */
/* Sends the response of the client's request, which is gone on return. */
void http_request_send(struct client *client);

/* ---- http/request.c ---- */
/* Takes over a connected socket. */
void client_new(struct http_server *server, int fd, const struct address *address);
/* Reads the next request, of which something may have come already. */
void client_go_on(struct client *client);
/* Its time is over. */
void client_end(struct client *client);

#endif
