/* fault_vfs.h - a disk that fails, and a disk whose power is cut, for SQLite.
 *
 * A VFS in front of SQLite's own, registered as the default, so that the code
 * under test opens its database as ever. It never syncs for real: whether a sync
 * was asked for is what counts here, and real ones would be most of a test's time.
 *
 * Faults. A plan names operations and the one of them, counted from 1, that fails:
 *
 *     fault_vfs_arm(&(struct fault_plan){.ops = FAULT_WRITE, .nth = 7, .code = SQLITE_FULL});
 *
 * A test runs its scenario for nth = 1, 2, ... until fault_vfs_fired() is false.
 *
 * Power cuts. After fault_vfs_watch() the VFS knows, for every file that SQLite
 * writes, what it held at its last sync and every write and truncate since, and
 * which names the directory held at its last sync. fault_vfs_power_cut() makes
 * of that, in another directory, what a disk could hold if the power went now.
 *
 * The rules of that disk are those on which SQLite itself relies. What was synced
 * stays. Of the rest any part may be there, in any order, down to sectors of 512
 * bytes; but no byte changes that was not written. A new name may be gone and a
 * deleted one be back until the directory is synced, which SQLite does with the
 * first sync of a new journal or WAL. The -shm file never survives.
 */
#ifndef SLUICE_FAULT_VFS_H
#define SLUICE_FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

enum fault_op {
    FAULT_OPEN = 1,
    FAULT_WRITE = 2,
    FAULT_TRUNCATE = 4,
    FAULT_SYNC = 8,
    FAULT_DELETE = 16,
    FAULT_SHM = 32, /* the -shm file is made or grows */
    FAULT_READ = 64,
    FAULT_CHANGES = FAULT_OPEN | FAULT_WRITE | FAULT_TRUNCATE | FAULT_SYNC | FAULT_DELETE | FAULT_SHM
};

struct fault_plan {
    unsigned ops; /* which operations are counted and fail: a sum of enum fault_op */
    unsigned nth; /* the first to fail; 0: none */
    int code;     /* the code that SQLite gets */
    bool torn;    /* a write that fails wrote about its first half, up to a sector's end */
    bool lasting; /* all that follow fail too, until fault_vfs_heal() */
    bool forgets; /* as Linux does: what a failed sync did not write is never written, and
                      later syncs say nothing of it; only a power cut brings it to light */
};

/* Once in a process, before SQLite is used. */
void fault_vfs_install(void);

void fault_vfs_arm(const struct fault_plan *plan);
bool fault_vfs_fired(void);
void fault_vfs_heal(void);

/* Calls `before` before every operation that would change what is on the disk. It
 * may use SQLite only after fault_vfs_reset(), that is, in a fork. */
typedef void fault_vfs_before_fn(void *context, enum fault_op op);
void fault_vfs_watch(fault_vfs_before_fn *before, void *context);

enum power_cut {
    CUT_UNSYNCED, /* nothing of what was not synced is there */
    CUT_SOME,     /* a random part of it is */
};
/* Writes the files into dir, over those of the same names. */
void fault_vfs_power_cut(const char *dir, enum power_cut mode, uint64_t seed);

/* From now on a plain VFS: no plan, nothing watched. */
void fault_vfs_reset(void);

#endif
