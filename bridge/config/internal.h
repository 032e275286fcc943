/* config/internal.h - what the files of this room share while a configuration is read. A
 * file calls only files to its right:
 *
 *     file   secret   whole_file   validate   lines   config   keys   values, urls, delivery, listen   section
 *     errors
 *
 * Errors are collected with their places, and sorted by file and line at the end: some are
 * found late (a missing key) and belong to an early line.
 */
#ifndef SLUICE_CONFIG_INTERNAL_H
#define SLUICE_CONFIG_INTERNAL_H

#include "base/buf.h"
#include "config/config.h"
#include "config/view.h"

/* Appends an item to a list of the form {items, count}. */
#define config_append(list, item)                                                                            \
    ((list)->items = xrealloc((list)->items, ((list)->count + 1) * sizeof(*(list)->items)),                  \
     (list)->items[(list)->count++] = (item))

/* ---- what there is ---- */

struct config_value;

struct config_type {
    /* Puts a value, which is not empty unless it is the default, into its field, or reports
     * what is wrong with it. */
    void (*set)(const struct config_value *value);
    void (*done)(void *field);                         /* frees what it owns; NULL: nothing */
    bool (*equal)(const void *one, const void *other); /* NULL: the bytes are equal */
    size_t bytes;                                      /* of the field */
    const char *choices[6];                            /* the values, where there are few */
    const char *also;                                  /* a word that is accepted beside the range */
};

/* A row of config/keys_*.h. */
struct config_key {
    const char *name;
    const struct config_type *type;
    size_t offset; /* of the field in struct config_daemon, _broker, ... */
    bool of_route; /* of an [http]: the field is one of its route's */

    const char *initial;   /* the default, as it would be written; NULL: none */
    const char *none;      /* without a default: what happens where the key is not set */
    const char *min, *max; /* the range of a number, a duration or a size; of text, the most bytes */
    const char *example;   /* values for config/sluice.conf, one a line */
    bool required;         /* the section must have it */
    bool suggested;        /* config/sluice.conf sets it, though it is not required */
    bool repeatable;       /* it may have several lines */
    bool restart;          /* only a restart puts a change in force */
    bool live;             /* a reload does, though its section needs a restart */
    const char *brief;     /* what it is, in a sentence: for config/sluice.conf and the manual */
    const char *text;      /* what else there is to know, for the manual; see keys.h */
};

enum config_kind {
    CONFIG_DAEMON,
    CONFIG_BROKER,
    CONFIG_QUEUE,
    CONFIG_BACKEND,
    CONFIG_ROUTE,
    CONFIG_HTTP,
    CONFIG_KIND_COUNT
};

enum config_naming { CONFIG_UNNAMED, CONFIG_NAMED, CONFIG_MAYBE_NAMED };

/* A kind of section, and its keys. */
struct config_keys {
    const char *word; /* "backend" */
    enum config_naming naming;
    const char *example; /* "garden": a name for it */
    bool restart;        /* only a restart puts changes in force, whichever key it is */
    const char *brief, *text;
    const struct config_key *keys;
    size_t count;
};

/* ---- what was read ---- */

/* A line of a file. Line 0 means none; CONFIG_WHOLE_FILE means the file as a whole, and
 * sorts after all lines. */
struct config_where {
    size_t file;
    unsigned line;
};
#define CONFIG_WHOLE_FILE UINT32_MAX

#define CONFIG_KEYS_MAX 32

/* One section. Its values go straight into parser->config; this is where they came from. */
struct config_section {
    enum config_kind kind;
    const struct config_keys *table;           /* of its kind */
    size_t index;                              /* into config->backends, config->routes or config->https */
    struct config_where where;                 /* of its header, in the last file that has one */
    struct config_where keys[CONFIG_KEYS_MAX]; /* by index into the table: where each was set first */
    uint32_t faulty;                           /* likewise, one bit each: its value was reported */
    char *backend;                             /* of a route: the name, which is looked up at the end */
    char *add;                                 /* of a route: the valid lines of this key, as one */
    struct config_where authorization;         /* of a backend: its header line of that name */
};

/* Returns 0 when sluice can read the file; otherwise -Exxx and *ret_why as in
 * config_secret_fn. */
typedef int config_readable_fn(void *context, const char *path, char **ret_why);

struct config_error {
    struct config_where where;
    size_t number; /* keeps the errors of one line in the order in which they were found */
    char *message;
};

struct config_parser {
    struct config_errors *errors;
    config_secret_fn *secret;
    config_readable_fn *readable; /* NULL: files such as ca_file are not opened */
    void *context;
    bool has_faults; /* a secret that cannot be fetched is a fault of its section, and not an error */
    const struct config_view *view; /* NULL: of this process */

    struct config *config;
    struct config_section *sections; /* the first three are those of [daemon], [broker] and [queue] */
    size_t section_count;
    bool seen[CONFIG_KIND_COUNT]; /* the header of such a section was there, valid or not */
    char **files;
    size_t file_count;
    struct config_error *found;
    size_t found_count;
    struct buf source; /* all texts (config/source.c) */

    /* While a text is read: */
    struct config_where where;
    size_t current; /* index of the section that keys belong to; SIZE_MAX: none */
    bool headless;  /* no section header came yet */
};

/* A value on its way into its field. */
struct config_value {
    struct config_parser *parser;
    struct config_section *section;
    const struct config_key *key;
    void *field;
    const char *text;
};

#endif
