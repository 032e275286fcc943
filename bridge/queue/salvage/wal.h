/* queue/salvage/wal.h - the frames of a write-ahead log. */
#ifndef SLUICE_QUEUE_SALVAGE_WAL_H
#define SLUICE_QUEUE_SALVAGE_WAL_H

#include "base/base.h"

#include <stdbool.h>
#include <stddef.h>

/* Frames are numbered from 0. */
struct wal {
    uint32_t frames; /* of this generation, damaged ones included */
    uint32_t *pages; /* by frame: the number of the page that it holds; 0: it is damaged */
    uint32_t *sizes; /* by frame: pages in the database after the transaction that it ends; 0: it ends none */
    uint32_t prefix; /* frames that SQLite would use */
    uint32_t committed; /* frames up to the last commit, damaged ones included */
};

/* fd may be -1: a missing or empty log is a log without frames. */
void wal_scan(int fd, struct wal *ret);
void wal_done(struct wal *wal);
bool wal_read(int fd, uint32_t frame, uint8_t *page);

/* Reads up to `bytes`; fills the rest with zeros. Returns how many were read, which is 0
 * also where the disk cannot read. */
size_t salvage_read(int fd, uint64_t offset, uint8_t *data, size_t bytes);

#endif
