/* queue/salvage/salvage.h - a damaged queue: set aside, and what can be read put into a new
 * one.
 *
 *     queue.db, queue.db-wal                     damaged
 *        │ read page by page, not by SQLite
 *        ▼
 *     queue.db.salvage-tmp                       grows; worth nothing if we die
 *        │ complete and synced: renamed
 *        ▼
 *     queue.db.salvaged                          complete
 *        │ queue.db     → queue.db.damaged-20261122T173316Z
 *        │ queue.db-wal → queue.db.damaged-20261122T173316Z-wal
 *        ▼
 *     queue.db
 *
 * Wherever the process dies, queue.db is either the damaged one, and all is done
 * again, or it is missing, and queue.db.salvaged takes its place at the next start.
 * What is set aside is never deleted by sluice.
 *
 * No connection of this process may have the database open meanwhile: closing a
 * descriptor of it would drop that connection's locks.
 */
#ifndef SLUICE_QUEUE_SALVAGE_H
#define SLUICE_QUEUE_SALVAGE_H

#include "base/base.h"

/* Before the database is opened: ends what an earlier process could not. Errors
 * as queue_open(). */
int queue_salvage_resume(const char *path, char **ret_why);

/* Whether something is wrong that SQLite would pass over in silence: a write-ahead
 * log that is broken before its end, that belongs to another database, or whose
 * database is gone. Returns words for people, or NULL. */
char *queue_salvage_look(const char *path);

/* Called every now and then by what takes long. */
typedef void salvage_progress_fn(void *context);

/* Does all of the above, and logs what came of it. Called with words that say what
 * is wrong; progress (may be NULL) is called every now and then. On failure nothing
 * has changed, or a resume at the next start goes on; errors as queue_open(). */
int queue_salvage(const char *path, salvage_progress_fn *progress, void *context, char **ret_why);

#endif
