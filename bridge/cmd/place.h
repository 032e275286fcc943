/* cmd/place.h - which directory sluice can have to itself, and a better one if it cannot.
 *
 * A remedy must not give away a directory that others use, too: a service that owns its configuration could
 * change it, and the owner of a home directory would lose it. */
#ifndef SLUICE_CMD_PLACE_H
#define SLUICE_CMD_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether the directory, a real path, is for sluice alone, or may become so: it belongs to sluice's user (uid),
 * or to root and contains nothing but the file of this name and its companions, such as queue.db-wal. A directory
 * of the system is never its own. home: the directory of the configuration. */
bool place_is_own(const char *directory, const char *file, const char *home, uid_t uid);

/* Whether others have files or directories in it, too: it is a directory of the system, or many programs use
 * it. */
bool place_is_common(const char *directory);

/* The directory below this one that sluice can have instead. The caller frees it. NULL: nobody keeps a
 * queue there. */
char *place_below(const char *directory, const char *home);

#endif
