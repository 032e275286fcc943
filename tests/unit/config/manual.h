/* manual.h - config/sluice.conf and sluice.conf(5), as far as they are generated from the
 * rows of the keys. */
#ifndef SLUICE_CONFIG_MANUAL_H
#define SLUICE_CONFIG_MANUAL_H

#include "base/buf.h"

/* Append the sections with all keys. */
void manual_example(struct buf *out);
void manual_page(struct buf *out); /* mdoc(7) */

#endif
