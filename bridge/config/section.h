/* config/section.h - the sections that were read, and where their keys were set. */
#ifndef SLUICE_CONFIG_SECTION_H
#define SLUICE_CONFIG_SECTION_H

#include "config/internal.h"

/* Adds a section, and its element of the configuration with nothing but the name. The
 * pointer is valid until the next one is added. */
struct config_section *config_section_new(struct config_parser *parser, enum config_kind kind,
                                          const struct config_keys *table, const char *name);
/* Adds a route to the configuration; returns its index. */
size_t config_section_new_route(struct config *config, const char *name);
/* Its index in parser->sections, or SIZE_MAX. */
size_t config_section_find(const struct config_parser *parser, enum config_kind kind, const char *name);
/* "[backend garden]"; the caller frees it. */
char *config_section_title(const struct config_parser *parser, const struct config_section *section);
/* The struct that has the fields of its keys. */
void *config_section_fields(struct config *config, enum config_kind kind, size_t index);

/* The following take a key that the table of the section has. */

/* Whether there is a line of this key. */
bool config_section_has(const struct config_section *section, const char *key);
/* Whether there is one, and no value was reported. */
bool config_section_valid(const struct config_section *section, const char *key);
/* Whether a value was reported: then nothing can be concluded from the field. */
bool config_section_faulty(const struct config_section *section, const char *key);
/* The first line of this key. */
struct config_where config_section_where(const struct config_section *section, const char *key);

#endif
