/* config/keys.h - every section and key that there is.
 *
 * A key is one row in the file of its section, config/keys_*.h:
 *
 *     KEY(name, type, field, .initial = ..., .min = ..., .brief = ..., .text = ...)
 *
 * The first three say what the key is called, which type of config/types.h it has, and how
 * its field in the struct of config/config.h is called. What else a row can say is in
 * config/internal.h, struct config_key. Everything is text, as people would write it: the
 * default is applied by setting it. KEY_OF_ROUTE in [http] is a key whose field is in the
 * section's route.
 *
 * Texts are for people: what is in `backquotes` is a name or value in the manual, an empty
 * line ("\n\n") begins a paragraph, and lines that begin with "- " are a list of
 * "- `value`: explanation".
 *
 * After a change, build/dev/tests/unit/test_config_keys --write writes sluice.conf(5) and
 * config/sluice.conf anew; without --write it fails where they differ from the rows.
 */
#ifndef SLUICE_CONFIG_KEYS_H
#define SLUICE_CONFIG_KEYS_H

#include "config/internal.h"

extern const struct config_keys config_keys[CONFIG_KIND_COUNT];

/* The index of a key in the table of its section, or SIZE_MAX. */
size_t config_key_find(enum config_kind kind, const char *name);

#endif
