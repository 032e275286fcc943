/* queue/salvage/wal_check.h - damage in a write-ahead log that SQLite would ignore. */
#ifndef SLUICE_QUEUE_SALVAGE_WAL_CHECK_H
#define SLUICE_QUEUE_SALVAGE_WAL_CHECK_H

#include "queue/salvage/pages.h"

enum wal_state {
    WAL_SOUND,   /* or there is none */
    WAL_DAMAGED, /* acknowledged messages are in frames that SQLite does not use */
    WAL_FOREIGN, /* of another database: it has other runs under the same ids */
    WAL_ALONE,   /* its database is missing or empty */
};

/* pages are those of the database at path, as pages_open() returns them. Returns 0 or
 * -Exxx. */
int wal_check(const char *path, struct pages *pages, enum wal_state *ret);

#endif
