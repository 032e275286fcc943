/* config/keys.h - the keys of every section, as tables; private to config*.c. */
#ifndef SLUICE_CONFIG_KEY_H
#define SLUICE_CONFIG_KEY_H

#include "config/sections.h"

/* Puts one value, which is not empty, into its field, or reports at
 * parser->where what is wrong with it. */
typedef void config_set_fn(struct config_parser *parser, struct config_section *section,
                           const struct config_key *key, const char *value);

struct config_key {
    const char *name;
    config_set_fn *set;
    size_t offset;       /* of its field in struct config_broker, _queue, _backend, _route or _http */
    bool of_route;       /* in [http]: the field is one of its route's */
    int64_t min, max;    /* of numbers, and in ms of durations */
    bool repeatable;     /* may come more than once */
    const char *example; /* of a key that must be there: a line to add; otherwise NULL */
};

struct config_keys {
    const char *section; /* "broker" */
    bool named;          /* [backend NAME] */
    bool may_be_named;   /* [http] or [http NAME] */
    const struct config_key *keys;
    size_t count;
};
extern const struct config_keys config_keys[CONFIG_KIND_COUNT];

/* The place of a key in its table, or SIZE_MAX. */
size_t config_key_find(enum config_kind kind, const char *name);
/* Where the section sets this key, which must be in the table; line 0: nowhere. */
struct config_where config_key_where(const struct config_section *section, const char *name);
/* Whether its value was reported as wrong: then nothing follows from it. */
bool config_key_faulty(const struct config_section *section, const char *name);
/* The field of a key. */
void *config_key_field(struct config_parser *parser, const struct config_section *section,
                       const struct config_key *key);

#endif
