/* config/sections.h - what the files that make a struct config share; private to
 * config*.c.
 *
 *     config/sections.c   lines and sections: which key of which section is this?
 *     config/keys.c      the keys as tables, one per kind of section
 *     config/values.c    one value: numbers, durations, files, secrets
 *     config/urls.c     ... URLs, queries, headers
 *     config/delivery.c ... bodies, batches, what answers mean
 *     config/validate.c   what can only be said when everything was read
 *     config/config.c          the finished struct, and the list of errors
 *
 * Errors are collected with their places while the parser runs, and handed out
 * in the order of files and lines at the end: some are found late (a missing
 * key) and belong to an early line.
 */
#ifndef SLUICE_CONFIG_PARSER_H
#define SLUICE_CONFIG_PARSER_H

#include "config/config.h"

/* A line of a file. Line 0 stands for "nowhere yet"; CONFIG_WHOLE_FILE is for
 * what no line is to blame for, and sorts behind all lines. */
struct config_where {
    size_t file;
    unsigned line;
};
#define CONFIG_WHOLE_FILE UINT32_MAX

enum config_kind {
    CONFIG_DAEMON,
    CONFIG_BROKER,
    CONFIG_QUEUE,
    CONFIG_BACKEND,
    CONFIG_ROUTE,
    CONFIG_HTTP,
    CONFIG_KIND_COUNT
};

#define CONFIG_KEYS_MAX 24

/* One section that was seen. Its values go straight into parser->config; what
 * is kept here is where they came from. */
struct config_section {
    enum config_kind kind;
    size_t index;                              /* into config->backends, config->routes or config->https */
    struct config_where where;                 /* of its header; the newest, where files go on in it */
    struct config_where keys[CONFIG_KEYS_MAX]; /* by place in the table of keys: where it was set first */
    uint32_t faulty;                           /* by place as well, a bit each: its value was reported */
    char *backend;                             /* of a route: the name, looked up at the end */
    char *add;                                 /* of a route: the good lines of that key, as one */
    struct config_where authorization;         /* of a backend: its header line of that name */
};

_Static_assert(CONFIG_KEYS_MAX <= 32, "config_section.faulty is too short");

struct config_key;
struct config_found;

/* Whether sluice can read this file; otherwise -Exxx and *ret_why as in
 * config_secret_fn. */
typedef int config_readable_fn(void *context, const char *path, char **ret_why);

struct config_parser {
    struct config_errors *errors;
    config_secret_fn *secret;
    config_readable_fn *readable; /* NULL: ca_file and the like are not looked at */
    void *context;

    struct config *config;
    struct config_section *sections;
    size_t section_count;
    bool tried[CONFIG_KIND_COUNT]; /* a section of this kind was there, if only a broken one */
    char **files;
    size_t file_count;
    struct config_found *found; /* errors, in the order in which they were found */
    size_t found_count;

    /* While a text is read: */
    struct config_where where;
    size_t current; /* the section that keys go into; SIZE_MAX: none that is known */
    bool headless;  /* no section header came yet */
};

/* config/sections.c */
void config_parser_check_files(struct config_parser *parser, config_readable_fn *readable);
/* The number of the file in messages; adds it to the list. */
size_t config_parser_file(struct config_parser *parser, const char *file);
void config_parser_error(struct config_parser *parser, struct config_where where, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* "[backend garden]"; freed by the caller. */
char *config_section_title(const struct config_parser *parser, const struct config_section *section);

/* config/validate.c */
void config_finish_place(struct config *config);
void config_finish_check(struct config_parser *parser);

/* config/ack.c */
void config_ack_check(struct config_parser *parser);

#endif
