/* db/vfs.h - counts what the database writes to the disk, and marks when it waits for the disk
 * (base/disk.h).
 *
 * A thin layer over SQLite's default VFS at the time when a database is opened (tests put a
 * failing disk there). It changes nothing. Written bytes and syncs wear out flash memory, so
 * both are reported, in the log and to systemd.
 */
#ifndef SLUICE_DB_VFS_H
#define SLUICE_DB_VFS_H

#include "base/base.h"

/* Of this process, since its start, over all of its databases, without the shared memory (-shm):
 * SQLite does not sync that, and the kernel writes it later. */
struct db_wear {
    uint64_t syncs;         /* fsync(2) and its like */
    uint64_t bytes_written; /* to database, write-ahead log and journals */
    uint64_t truncates;
    uint64_t sync_us; /* duration of all syncs */
    uint64_t longest_sync_us;
};

struct db_wear db_wear(void);

/* errno of the last write, truncation or sync that failed; 0: none did. SQLite does not keep it when a
 * COMMIT fails. */
int db_vfs_errno(void);

/* The name to open a database by (sqlite3_open_v2()); NULL, which is the default,
 * when there is no memory for it. */
const char *db_vfs_name(void);

#endif
