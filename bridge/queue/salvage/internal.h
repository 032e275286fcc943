/* queue/salvage/internal.h - the parts of SQLite's file format that the salvage knows.
 *
 *   salvage.c    order of the steps: which file is renamed or removed when
 *   rescue.c     the same for files that were deleted or replaced while they were open
 *   kept.c       databases that are kept beside the queue
 *   place.c      the names of these files
 *   wal_check.c  finds damage in the write-ahead log that SQLite would ignore
 *   copy.c       chooses the pages and copies their rows
 *   target.c     the new database
 *   reader.c     lets SQLite read one page as if it were a whole table
 *   tables.c     the tables of a queue, and the SQL that is made of their columns
 *   pages.c      the pages of a file and its write-ahead log, and which of them are in use
 *   wal.c        the frames of a write-ahead log
 *
 * "Section" in a comment means one of https://www.sqlite.org/fileformat2.html. Every number
 * that is read is checked before it is used.
 */
#ifndef SLUICE_QUEUE_SALVAGE_INTERNAL_H
#define SLUICE_QUEUE_SALVAGE_INTERNAL_H

#include "base/base.h"

#include <stdbool.h>

enum { PAGE_BYTES = 4096 }; /* db/db.c creates no others */

/* The first byte of a page of a b-tree (section 1.6). */
enum page_type { INDEX_INTERIOR = 0x02, TABLE_INTERIOR = 0x05, INDEX_LEAF = 0x0a, TABLE_LEAF = 0x0d };

static inline uint32_t get2(const uint8_t *at)
{
    return (uint32_t)(at[0] << 8 | at[1]);
}

static inline uint32_t get4(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

#endif
