/* text/nearest.h - "did you mean ...?" for misspelt words. Pure. */
#ifndef SLUICE_CONFIG_NEAREST_H
#define SLUICE_CONFIG_NEAREST_H

#include "base/base.h"

/* The index of the known word that is nearest to this one (fewest letters added,
 * dropped, changed, or swapped with their neighbour; upper and lower case are
 * alike), or SIZE_MAX when none is so near that it could have been meant. */
size_t config_nearest(const char *word, const char *const *known, size_t count);

#endif
