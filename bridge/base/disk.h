/* base/disk.h - shows other threads when this process waits for its disk.
 *
 * A disk may let an operation wait for a minute: an SD card that collects garbage, a USB disk
 * that spins up, a card that fails. The thread that makes the operation can do nothing else
 * meanwhile. So it marks the operation here, and the watchdog (daemon/watchdog.h) sees that it
 * waits and does not hang. Only one thread of a process works on the disk.
 */
#ifndef SLUICE_DISK_H
#define SLUICE_DISK_H

#include "base/base.h"
#include <stdbool.h>

/* Around an operation. They do not nest. */
void disk_begin(void);
void disk_end(void);

/* Long work of many operations calls it now and then: it comes to an end. */
void disk_progress(void);

/* Opens a file or a directory and syncs it (fsync(2)). Returns 0 or -errno. */
int disk_sync_path(const char *path);

/* Why a power cut loses this file, or the one that will be made there: its file system is in memory,
 * or may be. NULL: it does not. Static text. */
const char *disk_volatile(const char *path);

/* The number of a file's file system in the kernel's lists, such as /proc/locks: of btrfs and overlayfs,
 * stat(2) returns another one. False: it cannot be found out. */
bool disk_device(const char *path, unsigned *ret_major, unsigned *ret_minor);

/* Any thread may ask. steps: how many operations began and how many ended, together; it is odd
 * while an operation is in flight. progress: how often disk_progress() was called. */
struct disk_signs {
    uint64_t steps, progress;
};
struct disk_signs disk_signs(void);

#endif
