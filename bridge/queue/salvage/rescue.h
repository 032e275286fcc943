/* queue/salvage/rescue.h - the files of a queue were deleted or replaced while they were open: what they
 * have is saved into a new queue.
 *
 *     the open files, which have no name or another one
 *        │ all pages; of a damaged database, its bytes, and it is salvaged in its place
 *        ▼
 *     queue.db.salvage-tmp          worthless if the process dies
 *        │ complete and synced: renamed
 *        ▼
 *     queue.db.rescued              complete
 *        │ what is in the place of queue.db and its log, and is not ours
 *        │     → queue.db.replaced-20261122T173316Z
 *        ▼
 *     queue.db
 *
 * When the process dies after the first rename, the next start goes on from there.
 */
#ifndef SLUICE_QUEUE_RESCUE_H
#define SLUICE_QUEUE_RESCUE_H

#include "db/files.h"
#include "queue/salvage/place.h"

/* Makes PATH.rescued, durably. Afterwards from->damaged says whether it must be salvaged. 0, or -Exxx with
 * *ret_why (freed by the caller): then no file has changed. */
int queue_rescue_copy(struct db *from, const char *path, char **ret_why);
/* Puts it in the place of the database, which must be closed: `ours` says which files in the places
 * of the database are those that were open. These are deleted, others are kept. *ret_kept: under
 * which name; NULL: there were none. Errors as above; the next start tries again. */
int queue_rescue_finish(const char *path, const bool ours[static DB_FILES], char **ret_kept, char **ret_why);
/* Finishes what an earlier process began. 0 or -Exxx. */
int queue_rescue_resume(const struct place *place);

#endif
