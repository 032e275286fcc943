/* queue/salvage/place.c - see queue/salvage/place.h. */
#include "queue/salvage/place.h"
#include "base/clock.h"
#include "base/fault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void place_init(struct place *place, const char *path)
{
    char *real = realpath(path, NULL); /* the database may be a link; SQLite follows it too */
    place->path = real ? real : xstrdup(path);
    const char *slash = strrchr(place->path, '/');
    place->name = slash ? slash + 1 : place->path;
    place->directory = slash ? xstrndup(place->path, (size_t)(slash + 1 - place->path)) : xstrdup(".");
    place->wal = xasprintf("%s-wal", place->path);
    place->shm = xasprintf("%s-shm", place->path);
    place->tmp = xasprintf("%s.salvage-tmp", place->path);
    place->salvaged = xasprintf("%s.salvaged", place->path);
    place->rescued = xasprintf("%s.rescued", place->path);
}

void place_done(struct place *place)
{
    free(place->path);
    free(place->directory);
    free(place->wal);
    free(place->shm);
    free(place->tmp);
    free(place->salvaged);
    free(place->rescued);
}

int place_rename(const char *from, const char *to)
{
    fault_fails("salvage.step");
    return rename(from, to) == 0 ? 0 : -errno;
}

int place_rename_if_exists(const char *from, const char *to)
{
    int error = place_rename(from, to);
    return error == -ENOENT ? 0 : error;
}

int place_remove(const char *path)
{
    fault_fails("salvage.step");
    return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}

bool place_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

char *place_unused_name(const struct place *place, const char *word)
{
    char date[32];
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", &utc);
    char *name = xasprintf("%s.%s-%s", place->path, word, date);
    for (unsigned n = 1;; n++) {
        cleanup_free char *wal = xasprintf("%s-wal", name);
        if (!place_exists(name) && !place_exists(wal))
            return name;
        free(name);
        name = xasprintf("%s.%s-%s-%u", place->path, word, date, n);
    }
}
