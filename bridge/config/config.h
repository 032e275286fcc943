/* config/config.h - the configuration: text in, one immutable struct out. Pure.
 *
 * The format is INI (inih): [daemon], [broker], [queue], [backend NAME], [route NAME],
 * [http].
 * config/sluice.conf documents every key. All errors of all files are reported,
 * each with file, line, the value and what would be right; only a configuration
 * without any error is ever used. Nobody changes a struct config after it was
 * finished.
 *
 * Files and secrets are read by config/file.c; here text comes in, and secrets
 * come through a callback, so that all of this is tested without a file system.
 */
#ifndef SLUICE_CONFIG_H
#define SLUICE_CONFIG_H

#include "base/address.h"
#include "base/base.h"
#include "base/log.h"
#include "message/fields.h"
#include "message/path.h"
#include <stdbool.h>

enum config_protocol { CONFIG_PROTOCOL_AUTO, CONFIG_PROTOCOL_V5, CONFIG_PROTOCOL_V311 };
enum config_order { CONFIG_ORDER_TOPIC, CONFIG_ORDER_ROUTE, CONFIG_ORDER_NONE };
enum config_body { CONFIG_BODY_RAW, CONFIG_BODY_JSON, CONFIG_BODY_ENVELOPE };
enum config_format { CONFIG_FORMAT_ARRAY, CONFIG_FORMAT_NDJSON };
enum config_not_object { CONFIG_NOT_OBJECT_DEAD, CONFIG_NOT_OBJECT_RAW };

/* What the user says that a status leads to; on_status has the same words. */
enum config_meaning {
    CONFIG_MEANS_DELIVERED,
    CONFIG_MEANS_DEAD,
    CONFIG_MEANS_LATER,
    CONFIG_MEANS_RETRY,
    CONFIG_MEANS_HOLD,
};
struct config_status_rule {
    int status; /* 100 to 599 */
    enum config_meaning meaning;
};

/* What a response means, where the configuration says so (on_status, expect_body). */
struct config_answers {
    struct config_status_rule *rules; /* sorted by status, each status once */
    size_t rule_count;
    char *expect_body; /* or NULL; text that the answer to a delivery must contain */
};

/* A name and a value, either of a query parameter or of a header. `secret` is
 * true where the value came from a file (@file): it is struck out of everything
 * that people may see. */
struct config_pair {
    char *name;
    char *value;
    bool secret;
};

struct config_daemon {
    char *socket;             /* where people ask it; default /run/sluice/sluice.sock, or with another
                                 queue.path that, and "-socket" */
    enum log_level log_level; /* error | warning | notice | info | debug; default info */
};

struct config_broker {
    char *host;                    /* default "localhost" */
    unsigned port;                 /* default 1883, with TLS 8883 */
    char *client_id;               /* default "sluice"; names the session at the broker */
    char *username;                /* or NULL */
    char *password;                /* or NULL; from password = @file */
    bool tls;                      /* default: whether ca_file is set */
    char *ca_file;                 /* or NULL: the system's */
    char *cert_file;               /* or NULL; client certificate, with key_file */
    char *key_file;                /* or NULL */
    unsigned keepalive_s;          /* default 60; 5 to 65535 */
    uint32_t session_expiry_s;     /* default 30 days; 0xffffffff = never */
    enum config_protocol protocol; /* protocol = auto | 5 | 3.1.1 */
};

#define CONFIG_QUEUE_PATH "/var/lib/sluice/queue.db"

enum config_when_full { CONFIG_FULL_HOLD, CONFIG_FULL_DROP_OLDEST, CONFIG_FULL_DROP_NEWEST };

struct config_queue {
    char *path;                      /* default CONFIG_QUEUE_PATH */
    unsigned commit_batch;           /* messages in one commit at most, and MQTT's receive
                                maximum; default 1000, 1 to 65535 */
    int64_t commit_delay_ms;         /* after a commit, before the next one begins; default 0 */
    int64_t max_size;                /* bytes of database and write-ahead log; default 1 GiB */
    unsigned max_messages;           /* that wait; 0, the default: no limit */
    int64_t max_age_ms;              /* of a message that waits; 0, the default: no limit */
    int64_t min_free;                /* bytes left free on the disk; default 64 MiB, may be 0 */
    enum config_when_full when_full; /* when_full = hold | drop-oldest | drop-newest */
    bool trust_clock;                /* clock = kernel | trust; default kernel */
};

struct config_backend {
    char *name;
    char *url; /* https://host[:port][/base], no query, no trailing slash */
    struct config_pair *query;
    size_t query_count;
    struct config_pair *headers;
    size_t header_count;
    char *bearer;   /* or NULL */
    char *username; /* basic authentication, with password; or NULL */
    char *password;
    char *ca_file;              /* or NULL: the system's */
    bool http1_only;            /* protocol = auto | http1.1 */
    unsigned max_in_flight;     /* HTTP/2: requests at once; default 32, 1 to 1000 */
    unsigned max_connections;   /* HTTP/1.1: connections; default 4, 1 to 64 */
    int64_t timeout_ms;         /* a whole request; default 30 s */
    int64_t connect_timeout_ms; /* default 10 s */
    int64_t retry_min_ms;       /* first backoff; default 1 s */
    int64_t retry_max_ms;       /* longest backoff, and bound of Retry-After; default 5 min */
    unsigned max_attempts;      /* default 10, 1 to 1000 */
    char *cert_file;            /* or NULL; client certificate, with key_file */
    char *key_file;             /* or NULL */
    unsigned rate_per_s;        /* messages; 0, the default: no limit; 1 to 1,000,000 */
    bool gzip;                  /* compress bodies; default no */
    struct config_answers answers;
};

struct config_route {
    char *name;
    bool http;     /* it is that of an [http]: it takes no topics, and has no path */
    char **topics; /* topic filters, in the order of the file, at least one */
    size_t topic_count;
    size_t backend; /* index into config.backends */
    struct path_template *path;
    char *ack_topic;    /* or NULL; a topic_template: where devices are told what is stored */
    char *content_type; /* or NULL: derived from the payload */
    bool retained;      /* forward retained messages too; default no */
    enum config_order order;
    enum config_body body;             /* body = raw | json | envelope */
    struct fields *add;                /* or NULL; with json and envelope */
    enum config_not_object not_object; /* with json: not_object = dead | raw */
    unsigned batch;                    /* messages in one request at most; default 0: one, and
                                          the body is not an array; 1 to 1000 */
    int64_t batch_size;                /* bytes of its body at most; default 64 KiB, 1 KiB to 1 MiB */
    enum config_format format;         /* batch_format = array | ndjson */
    int64_t linger_ms;                 /* how long to wait for more; default 0, at most 1 h */
    struct config_answers answers;     /* before those of the backend */
    struct config_pair *query;         /* of an [http]: behind the backend's */
    size_t query_count;
};

struct config_listen {
    char *text; /* as it was written */
    struct address address;
    uint16_t port;
};

/* Where sluice takes HTTP requests. What it stores of them goes by a route of the
 * section's name, or "http" where it has none; that route is in config.routes. */
struct config_http {
    char *name;                    /* "" where it has none */
    size_t route;                  /* index into config.routes; SIZE_MAX where the section has no key */
    struct config_listen *listens; /* at least one; none where it has no key */
    size_t listen_count;
    struct address_range *allow; /* clients that may come; none: all */
    size_t allow_count;
    unsigned accepted_status;            /* of the answer to what was stored; default 202, 200 to 299 */
    bool passthrough;                    /* GET and HEAD are passed on; default yes */
    int64_t passthrough_size;            /* bytes of an answer at most; default 1 MiB */
    unsigned passthrough_requests;       /* at once; default 8, 1 to 100 */
    int64_t max_body;                    /* bytes of a request's body; default 1 MiB */
    unsigned max_connections;            /* default 256, 1 to 10000 */
    unsigned max_connections_per_client; /* by address; default 64 */
    int64_t timeout_ms;                  /* for a request to arrive whole; default 30 s */
};

struct config {
    char *gateway; /* this machine's name, for {gateway}; NULL where config/file.c did not say it */
    struct config_daemon daemon;
    struct config_broker broker;
    struct config_queue queue;
    struct config_backend *backends;
    size_t backend_count;
    struct config_route *routes;
    size_t route_count;
    struct config_http *https;
    size_t http_count;
};

/* Errors found so far, one line each, without newline: "FILE:LINE: ...". */
struct config_errors {
    char **lines;
    size_t count;
};
void config_errors_add(struct config_errors *errors, const char *format, ...) PRINTF_LIKE(2, 3);
void config_errors_done(struct config_errors *errors);

/* Fetches the secret that "@name" names. Returns 0 and the value, to be freed by
 * the caller, or -Exxx and in *ret_why what is wrong and what to do (freed by
 * the caller). name comes without the '@'. */
typedef int config_secret_fn(void *context, const char *name, char **ret_value, char **ret_why);

struct config_parser;
struct config_parser *config_parser_new(struct config_errors *errors, config_secret_fn *secret,
                                        void *context);
/* Takes one file's text; may be called for several files in turn, a later one
 * may go on in sections of an earlier one. `file` is used in messages. */
void config_parser_text(struct config_parser *parser, const char *file, const char *text, size_t bytes);
/* Checks what can only be checked at the end (a route without a backend, ...),
 * frees the parser, and gives the configuration, or NULL when there were errors. */
struct config *config_parser_finish(struct config_parser *parser);

void config_free(struct config *config); /* takes NULL */

/* Whether they differ in what stays as it was at the start: [broker], and some keys of
 * [queue] and [daemon]. */
bool config_needs_restart(const struct config *running, const struct config *next);

/* The index of the route or backend with this name, or SIZE_MAX. */
size_t config_find_route(const struct config *config, const char *name);

#endif
