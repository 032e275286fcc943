/* queue/access.h - whether a user may use the files of a queue.
 *
 * A command of root, or a backup that root copied back, leaves files of root beside the queue. Then the
 * user of sluice can write to the directory, but not to the files. */
#ifndef SLUICE_QUEUE_ACCESS_H
#define SLUICE_QUEUE_ACCESS_H

#include "base/base.h"

/* What to do, a command, that gives to sluice the files of the queue at path, and the file `more` (or NULL), that are
 * there and that the real user of this process may not use (access(2)); the caller frees it. NULL: it may
 * use all of them. owner: "USER:GROUP", or NULL: the owner of the directory, if that is this user, and
 * otherwise this user.
 *
 * A symbolic link in the place of such a file is to be deleted. What it names stays as it is. */
char *queue_access_remedy(const char *path, const char *more, const char *owner);

#endif
