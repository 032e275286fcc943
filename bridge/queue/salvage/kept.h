/* queue/salvage/kept.h - databases that are kept beside the queue: damaged ones, and those that somebody
 * put in its place while it was in use. sluice never deletes them, so it reports when they become many. */
#ifndef SLUICE_QUEUE_SALVAGE_KEPT_H
#define SLUICE_QUEUE_SALVAGE_KEPT_H

#include "queue/salvage/place.h"

enum kept_kind { KEPT_DAMAGED, KEPT_REPLACED, KEPT_KINDS };

/* "PATH.damaged-DATE" or "PATH.replaced-DATE", of which there is none yet; the caller frees it. */
char *kept_new_name(const struct place *place, enum kept_kind kind);
/* How many there are; their write-ahead logs do not count. *ret_last is the name of the last one, which the
 * caller frees, or NULL. */
unsigned kept_count(const struct place *place, enum kept_kind kind, char **ret_last);
/* Logs that there are many, if so. */
void kept_warn(const struct place *place, enum kept_kind kind);
/* The same for the status, of all kinds; the caller frees it. NULL: there are few. */
char *queue_kept_problem(const char *path);

#endif
