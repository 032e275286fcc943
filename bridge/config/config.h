/* config/config.h - the configuration: text in, one immutable struct out. Pure.
 *
 * The format is INI with the sections [daemon], [broker], [queue], [backend NAME],
 * [route NAME] and [http]. Every key is one row in config/keys_*.h: its name, type,
 * default, range and description. The row also makes the field in the structs below, and
 * sluice.conf(5) and config/sluice.conf are generated from it.
 *
 * All errors of all files are reported, each with its file, its line, the value and what
 * would be right. Only a configuration without any error is ever used. Nobody changes a
 * struct config after it was finished.
 *
 * config/file.c reads files and secrets. Here text comes in, and secrets come through a
 * callback, so that all of this is tested without a file system.
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
enum config_when_full { CONFIG_FULL_HOLD, CONFIG_FULL_DROP_OLDEST, CONFIG_FULL_DROP_NEWEST };
enum config_order { CONFIG_ORDER_TOPIC, CONFIG_ORDER_ROUTE, CONFIG_ORDER_NONE };
enum config_body { CONFIG_BODY_RAW, CONFIG_BODY_JSON, CONFIG_BODY_ENVELOPE };
enum config_format { CONFIG_FORMAT_ARRAY, CONFIG_FORMAT_NDJSON };
enum config_on_failure { CONFIG_ON_FAILURE_DEFER, CONFIG_ON_FAILURE_WAIT };
/* Only YES forwards them; where a person did not say NO, the status reports them. */
enum config_retained { CONFIG_RETAINED_REPORT, CONFIG_RETAINED_NO, CONFIG_RETAINED_YES };

enum config_not_object { CONFIG_NOT_OBJECT_DEAD, CONFIG_NOT_OBJECT_RAW, CONFIG_NOT_OBJECT_IGNORE };

/* What a status of a response means, where on_status says so. */
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
struct config_rules {
    struct config_status_rule *items; /* sorted by status, each status once */
    size_t count;
};

/* A name and a value, either of a query parameter or of a header. A value that is
 * `secret` came from a file (@file) and is never shown to people. */
struct config_pair {
    char *name;
    char *value;
    bool secret;
};
struct config_pairs {
    struct config_pair *items;
    size_t count;
};

struct config_topics {
    char **items; /* topic filters, in the order of the file */
    size_t count;
};

struct config_listen {
    char *text; /* as it was written */
    struct address address;
    uint16_t port;
};
struct config_listens {
    struct config_listen *items;
    size_t count;
};

struct config_ranges {
    struct address_range *items;
    size_t count;
};

/* The fields have the C type of their key's type: "config_field_duration timeout_ms". An
 * optional text is NULL, and an optional number 0, where its key is not set. */
#define TYPE(name, c_type) typedef c_type config_field_##name;
#include "config/types.h"
#undef TYPE

#define KEY(name, type, field, ...) config_field_##type field;
#define KEY_OF_ROUTE(...)

struct config_daemon {
#include "config/keys_daemon.h"
};

struct config_broker {
    char *fault; /* why it must not be used: a secret cannot be read (config/file.h); usually NULL */
#include "config/keys_broker.h"
};

struct config_queue {
#include "config/keys_queue.h"
};

struct config_backend {
    char *name;
    char *fault; /* likewise */
#include "config/keys_backend.h"
};

struct config_route {
    char *name;
    char *fault;               /* likewise */
    bool http;                 /* it belongs to an [http]: it has no topics and no path */
    struct config_pairs query; /* of an [http]: parameters that precede the backend's */
#include "config/keys_route.h"
};

/* Where sluice takes HTTP requests. Their messages take a route of their own, which has
 * the name of the section, or "http" where it has none. Keys with KEY_OF_ROUTE are fields
 * of that route. */
struct config_http {
    char *name;   /* "" where it has none */
    size_t route; /* index into config.routes; SIZE_MAX where the section has no key */
#include "config/keys_http.h"
};

#undef KEY
#undef KEY_OF_ROUTE

/* What was read of each reference to a secret, in the order of the references. */
struct config_secret {
    int error;   /* 0, or -Exxx */
    char *value; /* NULL after an error */
};
struct config_secrets {
    struct config_secret *items;
    size_t count;
};

struct config {
    char *gateway; /* this machine's name, for {gateway}; NULL unless config/file.c set it */
    char *source;  /* the texts that it was made of, for config_parser_source(), */
    size_t source_bytes;
    struct config_secrets secrets; /* what config/secret.c read for it */
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

/* The errors so far, one line each, without newline: "FILE:LINE: ...". */
struct config_errors {
    char **lines;
    size_t count;
};
void config_errors_add(struct config_errors *errors, const char *format, ...) PRINTF_LIKE(2, 3);
void config_errors_done(struct config_errors *errors);

/* Fetches the secret that "@name" names; name comes without the '@'. Returns 0 and the
 * value, or -Exxx and in *ret_why what is wrong and what to do. The caller frees both. */
typedef int config_secret_fn(void *context, const char *name, char **ret_value, char **ret_why);

struct config_parser;
struct config_parser *config_parser_new(struct config_errors *errors, config_secret_fn *secret,
                                        void *context);
/* Takes the text of one file, which errors call `file`. It may be called for several files:
 * a later file can add keys to sections of an earlier one. */
void config_parser_text(struct config_parser *parser, const char *file, const char *text, size_t bytes);
/* Takes all texts of a configuration that was made of a file `first` and others: its `source`. -EBADMSG: it
 * is damaged, or its first file has another name. */
int config_parser_source(struct config_parser *parser, const char *first, const char *source, size_t bytes);
/* Checks what needs the whole configuration (a route without a backend, ...) and frees the
 * parser. Returns the configuration, or NULL when there were errors. */
struct config *config_parser_finish(struct config_parser *parser);
/* The same, but it always returns what it has, for programs that look for more errors. Unless *ret_valid,
 * required fields may be NULL. */
struct config *config_parser_finish_partial(struct config_parser *parser, bool *ret_valid);

void config_free(struct config *config); /* takes NULL */

/* The changed keys that only a restart puts in force, such as "[broker] host, [queue] path",
 * or NULL when there are none; the caller frees it. */
char *config_restart_keys(const struct config *running, const struct config *next);

/* "1 backend, 2 routes"; the caller frees it. */
char *config_counts(const struct config *config);

/* The index of the route with this name, or with this former name, or SIZE_MAX. */
size_t config_find_route(const struct config *config, const char *name);

#endif
