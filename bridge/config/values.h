/* config/values.h - setters for one value each; private to config*.c. They are
 * what the tables in config/keys.c are made of. All are config_set_fn. */
#ifndef SLUICE_CONFIG_VALUE_H
#define SLUICE_CONFIG_VALUE_H

#include "config/keys.h"

config_set_fn config_set_text;         /* char *: anything */
config_set_fn config_set_host;         /* char *: a name or an address, without a port */
config_set_fn config_set_path;         /* char *: an absolute path */
config_set_fn config_set_file;         /* char *: an absolute path, of a file that must be readable */
config_set_fn config_set_number;       /* unsigned, min to max */
config_set_fn config_set_duration;     /* int64_t milliseconds, min to max */
config_set_fn config_set_size;         /* int64_t bytes, min to max */
config_set_fn config_set_when_full;    /* enum config_when_full */
config_set_fn config_set_clock;        /* bool: whether the clock is trusted as it is */
config_set_fn config_set_seconds;      /* unsigned whole seconds, min to max */
config_set_fn config_set_expiry;       /* uint32_t whole seconds, or "never" */
config_set_fn config_set_log_level;    /* enum log_level */
config_set_fn config_set_yes_no;       /* bool */
config_set_fn config_set_mqtt;         /* enum config_protocol */
config_set_fn config_set_http;         /* bool: only HTTP/1.1 */
config_set_fn config_set_order;        /* enum config_order */
config_set_fn config_set_secret;       /* char *: what @file holds */
config_set_fn config_set_url;          /* char *: https://host[:port][/base] */
config_set_fn config_set_user;         /* char *: a user name of basic authentication */
config_set_fn config_set_query;        /* config_backend.query, or config_route.query of an [http] */
config_set_fn config_set_header;       /* config_backend.headers */
config_set_fn config_set_topic;        /* config_route.topics */
config_set_fn config_set_backend;      /* config_section.backend */
config_set_fn config_set_template;     /* struct path_template * */
config_set_fn config_set_ack_topic;    /* char *: a topic_template */
config_set_fn config_set_content_type; /* char * */
config_set_fn config_set_body;         /* enum config_body */
config_set_fn config_set_add;          /* struct fields *, all lines together */
config_set_fn config_set_not_object;   /* enum config_not_object */
config_set_fn config_set_batch_format; /* enum config_format */
config_set_fn config_set_on_status;    /* struct config_answers: its rules */
config_set_fn config_set_listen;       /* config_http.listens */
config_set_fn config_set_allow;        /* config_http.allow */

/* Reports "KEY = VALUE: words" at the line that is being read. */
void config_value_error(struct config_parser *parser, const struct config_key *key, const char *value,
                        const char *format, ...) PRINTF_LIKE(4, 5);

/* "30s", "5m": in the largest unit that needs no fraction; freed by the caller. */
char *config_duration_text(int64_t ms);

/* Shared by the setters of config/values.c, config/urls.c and config/delivery.c. */

/* The place of value among up to three names, or -1 after reporting. */
int config_value_choice(struct config_parser *parser, const struct config_key *key, const char *value,
                        const char *const names[static 3]);
/* Fetches the secret that reference, "@...", names; NULL after reporting why it
 * is not to be had, with value as the value. The words never hold the secret. */
char *config_value_secret(struct config_parser *parser, const struct config_key *key, const char *value,
                          const char *reference);
/* Replaces the text in a field of type char *. */
void config_value_replace(struct config_parser *parser, const struct config_section *section,
                          const struct config_key *key, char *text);

#endif
