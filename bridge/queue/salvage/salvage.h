/* queue/salvage/salvage.h - a damaged queue: its readable rows are copied into a new one.
 *
 *     queue.db, queue.db-wal                     damaged
 *        │ SQLite reads each page by itself
 *        ▼
 *     queue.db.salvage-tmp                       grows; worthless if the process dies
 *        │ complete and synced: renamed
 *        ▼
 *     queue.db.salvaged                          complete
 *        │ queue.db     → queue.db.damaged-20261122T173316Z
 *        │ queue.db-wal → queue.db.damaged-20261122T173316Z-wal
 *        ▼
 *     queue.db
 *
 * When the process dies at any point, either queue.db is still the damaged one, and the
 * salvage starts again, or queue.db is missing, and the next start renames
 * queue.db.salvaged. sluice never deletes the damaged files.
 *
 * No connection of this process may have the database open during the salvage: when a
 * process closes a descriptor of a file, it loses all its locks on that file.
 */
#ifndef SLUICE_QUEUE_SALVAGE_H
#define SLUICE_QUEUE_SALVAGE_H

#include "base/base.h"

/* Finishes a salvage that an earlier process began. To be called before the database is
 * opened. Returns 0 or an error as queue_open() does, with a message in *ret_why. */
int queue_salvage_resume(const char *path, char **ret_why);

/* Looks for damage that SQLite would ignore: a write-ahead log that is damaged before its
 * end, that belongs to another database, or whose database is gone. Returns a message, which
 * the caller frees, or NULL. */
char *queue_salvage_check_wal(const char *path);

/* Salvages the database at path, and logs the result. Returns 0 or an
 * error as queue_open() does, with a message in *ret_why; then nothing has changed, or
 * queue_salvage_resume() finishes the work. */
int queue_salvage(const char *path, char **ret_why);

#endif
