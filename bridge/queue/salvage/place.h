/* queue/salvage/place.h - the names beside a database, and steps that change them. */
#ifndef SLUICE_QUEUE_SALVAGE_PLACE_H
#define SLUICE_QUEUE_SALVAGE_PLACE_H

#include "base/base.h"
#include <stdbool.h>

struct place {
    char *path; /* of the database, links followed */
    char *directory;
    const char *name; /* in path */
    char *wal, *shm, *tmp, *salvaged, *rescued;
};

void place_init(struct place *place, const char *path);
void place_done(struct place *place);

bool place_exists(const char *path);
/* 0 or -Exxx. A file that does not exist is no error for the last two. */
int place_rename(const char *from, const char *to);
int place_rename_if_exists(const char *from, const char *to);
int place_remove(const char *path);
/* "PATH.WORD-DATE", where neither this nor its write-ahead log exists; the caller frees it. */
char *place_unused_name(const struct place *place, const char *word);

#endif
