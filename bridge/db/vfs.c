/* db/vfs.c - see db/vfs.h.
 *
 * The default VFS opens a file as usual, in the memory that SQLite gave. Then the file's table
 * of methods is replaced by a copy in which read, write, truncate and sync are ours. The other
 * methods are called directly, also those that a newer SQLite adds.
 */
#include "db/vfs.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/fault.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stddef.h>
#include <string.h>

/* One for the process; its databases share the card. */
static struct db_wear wear;

struct db_wear db_wear(void)
{
    return wear;
}

static int failed_errno;

int db_vfs_errno(void)
{
    return failed_errno;
}

/* ---- files ---- */

/* They never change after the first opening, because files keep pointers to them. */
struct methods {
    sqlite3_io_methods counting;
    const sqlite3_io_methods *below;
};

/* SQLite's VFS has one table for each way of locking, and uses one or two of them. */
static struct methods tables[8];

static const sqlite3_io_methods *below(const sqlite3_file *file)
{
    const void *table = file->pMethods;
    return ((const struct methods *)table)->below;
}

/* A sync that fails for lack of space leaves the file as unsure as any other (db/transaction.c), so it
 * is not taken for a write that found no space. */
static int note_failure(int code, bool is_sync)
{
    bool is_space = errno == ENOSPC || errno == EDQUOT;
    if (code != SQLITE_OK)
        failed_errno = errno == 0 || (is_sync && is_space) ? EIO : errno;
    return code;
}

static int mark_read(sqlite3_file *file, void *data, int bytes, sqlite3_int64 at)
{
    disk_begin();
    int code = below(file)->xRead(file, data, bytes, at);
    disk_end();
    return code;
}

static int count_write(sqlite3_file *file, const void *data, int bytes, sqlite3_int64 at)
{
    wear.bytes_written += (uint64_t)bytes;
    disk_begin();
    errno = 0;
    int code = note_failure(below(file)->xWrite(file, data, bytes, at), false);
    disk_end();
    return code;
}

static int count_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    wear.truncates++;
    disk_begin();
    errno = 0;
    int code = note_failure(below(file)->xTruncate(file, size), false);
    disk_end();
    return code;
}

static int count_sync(sqlite3_file *file, int flags)
{
    int64_t start_us = clock_steady_us();
    disk_begin();
    errno = 0;
    int code =
        note_failure(fault_fails("disk.sync") ? SQLITE_IOERR_FSYNC : below(file)->xSync(file, flags), true);
    disk_end();
    uint64_t took_us = (uint64_t)(clock_steady_us() - start_us);
    wear.syncs++;
    wear.sync_us += took_us;
    if (took_us > wear.longest_sync_us)
        wear.longest_sync_us = took_us;
    return code;
}

/* Our table for this one; this one if there are too many. */
static const sqlite3_io_methods *counting(const sqlite3_io_methods *methods)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        struct methods *table = &tables[i];
        if (!table->below) {
            table->below = methods;
            table->counting = *methods;
            table->counting.xRead = mark_read;
            table->counting.xWrite = count_write;
            table->counting.xTruncate = count_truncate;
            table->counting.xSync = count_sync;
        }
        if (table->below == methods)
            return &table->counting;
    }
    return methods;
}

/* ---- the VFS; its other functions are those of the default one ---- */

static_assert(offsetof(struct methods, counting) == 0, "below() takes one for the other");

static sqlite3_vfs *vfs_below;

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)vfs;
    int code = vfs_below->xOpen(vfs_below, name, file, flags, ret_flags);
    /* It is also set after a failure, when the file must be closed. Temporary files are counted
     * too; they are in memory, or short-lived and never synced. */
    if (file->pMethods)
        file->pMethods = counting(file->pMethods);
    return code;
}

const char *db_vfs_name(void)
{
    static sqlite3_vfs vfs;
    sqlite3_vfs *now = sqlite3_vfs_find(NULL);
    if (!now || now == vfs_below)
        return now ? vfs.zName : NULL;
    /* A copy, because its other functions find their data in it. */
    sqlite3_vfs_unregister(&vfs);
    vfs = *now;
    vfs.zName = "sluice";
    vfs.pNext = NULL;
    vfs.xOpen = vfs_open;
    vfs_below = now;
    return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK ? vfs.zName : NULL;
}
