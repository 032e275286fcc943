/* queue/salvage/kept.c - see queue/salvage/kept.h. */
#include "queue/salvage/kept.h"
#include "base/log.h"

#include <dirent.h>
#include <string.h>

enum { KEPT_MANY = 3 };

static const struct {
    const char *word;
    enum log_event event;
    const char *advice;
} kinds[] = {
    [KEPT_DAMAGED] = {"damaged", EVENT_DISK_FAILING,
                      "damaged databases are kept beside it: the disk seems to fail; replace it, and delete "
                      "the databases that you do not need"},
    [KEPT_REPLACED] =
        {"replaced", EVENT_QUEUE_REPLACED_OFTEN,
         "databases that somebody put in its place while sluice used it are kept beside it; stop "
         "sluice before you replace the queue, and delete the databases that you do not need"},
};

char *kept_new_name(const struct place *place, enum kept_kind kind)
{
    return place_unused_name(place, kinds[kind].word);
}

/* Of a write-ahead log, or of its shared memory. */
static bool is_part(const char *name)
{
    size_t bytes = strlen(name);
    return bytes > 4 && (strcmp(name + bytes - 4, "-wal") == 0 || strcmp(name + bytes - 4, "-shm") == 0);
}

unsigned kept_count(const struct place *place, enum kept_kind kind, char **ret_last)
{
    unsigned count = 0;
    cleanup_free char *prefix = xasprintf("%s.%s-", place->name, kinds[kind].word);
    *ret_last = NULL;
    DIR *directory = opendir(place->directory);
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 || is_part(entry->d_name))
            continue;
        count++;
        if (!*ret_last || strcmp(entry->d_name, strrchr(*ret_last, '/') + 1) > 0) {
            free(*ret_last);
            *ret_last = xasprintf("%s/%s", place->directory, entry->d_name);
        }
    }
    if (directory)
        closedir(directory);
    return count;
}

/* NULL: there are few. */
static char *describe(const struct place *place, enum kept_kind kind)
{
    char *last;
    unsigned count = kept_count(place, kind, &last);
    free(last);
    return count > KEPT_MANY
               ? xasprintf("%u %s (%s.%s-*)", count, kinds[kind].advice, place->path, kinds[kind].word)
               : NULL;
}

void kept_warn(const struct place *place, enum kept_kind kind)
{
    cleanup_free char *text = describe(place, kind);
    if (text)
        log_warning(kinds[kind].event, "%s: %s", place->path, text);
}

char *queue_kept_problem(const char *path)
{
    struct place place;
    place_init(&place, path);
    cleanup_free char *damaged = describe(&place, KEPT_DAMAGED);
    cleanup_free char *replaced = describe(&place, KEPT_REPLACED);
    place_done(&place);
    if (!damaged && !replaced)
        return NULL;
    return xasprintf("%s%s%s", damaged ? damaged : "", damaged && replaced ? "; " : "",
                     replaced ? replaced : "");
}
