/* text/nearest.h - finds the word that was meant by a misspelt one. Pure. */
#ifndef SLUICE_NEAREST_H
#define SLUICE_NEAREST_H

#include "base/base.h"

/* Returns the index of the known word that needs the fewest edits to become this one, or
 * SIZE_MAX when none is near enough. An edit adds, drops or changes a letter, or swaps two
 * neighbours. Upper and lower case are the same. */
size_t nearest_find(const char *word, const char *const *known, size_t count);

#endif
