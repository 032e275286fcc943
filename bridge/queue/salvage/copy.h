/* queue/salvage/copy.h - chooses the pages of a damaged database, and copies their rows. */
#ifndef SLUICE_QUEUE_SALVAGE_COPY_H
#define SLUICE_QUEUE_SALVAGE_COPY_H

#include "queue/salvage/pages.h"
#include "queue/salvage/target.h"

struct salvage_result {
    struct target_counts counts;
    uint64_t bad_rows, bad_pages;
    uint64_t about_lost; /* messages on bad pages, estimated from the good ones */
};

/* Copies all rows that can be read into a new database at `to`, which is complete and
 * synced on return. Returns 0 or -Exxx; then the caller removes the file. */
int salvage_copy(struct pages *pages, const char *to, struct salvage_result *ret);

#endif
