/* db/vfs.h - what the database writes to the disk, counted.
 *
 * A thin layer over SQLite's own VFS, or over what is the default when a database
 * is opened (the tests put a failing disk there). It changes nothing; it counts.
 * Flash wears out by what is written and by how often it is told to make that
 * durable, so both are shown: in the log, and to systemd.
 */
#ifndef SLUICE_DB_VFS_H
#define SLUICE_DB_VFS_H

#include "base/base.h"

/* Of this process, since its start, over all of its databases. What is written to
 * the shared memory beside the write-ahead log is not among it: SQLite does not
 * sync that, and the kernel writes it at its leisure. */
struct db_wear {
    uint64_t syncs;         /* fsync(2) and its like */
    uint64_t bytes_written; /* to database, write-ahead log and journals */
    uint64_t truncates;
    uint64_t sync_us; /* that the syncs took, in all */
    uint64_t longest_sync_us;
};

struct db_wear db_wear(void);

/* The name to open a database by (sqlite3_open_v2()); NULL, which is the default,
 * when there is no memory for it. */
const char *db_vfs_name(void);

#endif
