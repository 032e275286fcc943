/* queue/salvage/salvage.c - in which order files are renamed and removed. See
 * queue/salvage/salvage.h.
 *
 * The order must be safe at any crash. The copy is complete and on the disk before any
 * other file is renamed. The damaged database is renamed before its write-ahead log:
 * SQLite would believe that a database without its log is complete, and it would apply a
 * log to any database beside it. The directory is synced before and after the new database
 * gets its name.
 */
#include "queue/salvage/salvage.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/fault.h"
#include "base/log.h"
#include "queue/salvage/copy.h"
#include "queue/salvage/kept.h"
#include "queue/salvage/place.h"
#include "queue/salvage/rescue.h"
#include "queue/salvage/wal_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* -1: there is no such file. */
static int64_t size_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (int64_t)status.st_size : -1;
}

/* After the damaged database was renamed: renames its log, and then the new database. */
static int finish_swap(const struct place *place, const char *kept)
{
    cleanup_free char *kept_wal = xasprintf("%s-wal", kept);
    int error = place_rename_if_exists(place->wal, kept_wal);
    /* A process that reads the damaged database may keep it open. */
    if (error == 0)
        error = place_remove(place->shm);
    if (error == 0)
        error = disk_sync_path(place->directory);
    if (error == 0)
        error = place_rename(place->salvaged, place->path);
    return error == 0 ? disk_sync_path(place->directory) : error;
}

static int swap(const struct place *place, const char *kept)
{
    int error = place_rename(place->tmp, place->salvaged);
    if (error == 0)
        error = disk_sync_path(place->directory);
    if (error == 0)
        error = place_rename_if_exists(place->path, kept);
    return error == 0 ? finish_swap(place, kept) : error;
}

/* ---- a salvage that was interrupted ---- */

static int resume(const struct place *place)
{
    int error = place_remove(place->tmp);
    if (error != 0 || !place_exists(place->salvaged))
        return error;
    if (size_of(place->path) > 0) /* it was not renamed yet: the salvage starts again */
        return place_remove(place->salvaged);
    char *last;
    kept_count(place, KEPT_DAMAGED, &last);
    if (last) {
        log_notice(EVENT_SALVAGE_RESUMED, "%s", place->path);
        error = finish_swap(place, last);
    }
    free(last);
    return error;
}

int queue_salvage_resume(const char *path, char **ret_why)
{
    struct place place;
    place_init(&place, path);
    int error = queue_rescue_resume(&place);
    if (error == 0)
        error = resume(&place);
    if (error != 0)
        *ret_why = xasprintf("%s: a salvage or a rescue that was interrupted cannot be finished: %s", path,
                             strerror(-error));
    place_done(&place);
    return error;
}

/* ---- damage that SQLite would ignore ---- */

char *queue_salvage_check_wal(const char *path)
{
    static const char *const reasons[] = {
        [WAL_DAMAGED] = "its write-ahead log is damaged",
        [WAL_FOREIGN] = "the write-ahead log beside it belongs to another database",
        [WAL_ALONE] = "the database is gone, its write-ahead log is there",
    };
    struct pages pages;
    struct stat status;
    enum wal_state state;
    cleanup_free char *real = realpath(path, NULL);
    cleanup_free char *wal = xasprintf("%s-wal", real ? real : path);
    if (stat(wal, &status) != 0 || status.st_size == 0) /* it was closed in order */
        return NULL;
    if (pages_open(real ? real : path, &pages) != 0)
        return NULL;
    int error = wal_check(path, &pages, &state);
    pages_close(&pages);
    return error != 0 || state == WAL_SOUND ? NULL : xstrdup(reasons[state]);
}

/* ---- the salvage ---- */

static void log_result(const char *path, const struct salvage_result *result, enum wal_state wal,
                       const char *kept)
{
    cleanup_free char *lost =
        result->bad_rows + result->bad_pages == 0
            ? xstrdup("nothing was found that could not be read")
            : xasprintf("%llu pages and %llu rows could not be read (about %llu messages)",
                        (unsigned long long)result->bad_pages, (unsigned long long)result->bad_rows,
                        (unsigned long long)(result->about_lost + result->bad_rows));
    log_error(EVENT_SALVAGED,
              "%s: %llu messages and %llu dead letters; %s; the damaged database is kept as %s", path,
              (unsigned long long)result->counts.messages, (unsigned long long)result->counts.dead_letters,
              lost, kept);
    if (wal == WAL_FOREIGN)
        log_warning(EVENT_SALVAGE_WAL_IGNORED,
                    "%s: the write-ahead log beside it belongs to another database", path);
    if (result->counts.rekeyed > 0)
        log_warning(
            EVENT_SALVAGE_KEYS_LOST,
            "%s: %llu messages lost the first half of their keys and have new ones: the backend does not "
            "recognise those that it has already",
            path, (unsigned long long)result->counts.rekeyed);
}

static int copy_database(const struct place *place, struct salvage_result *ret, enum wal_state *ret_wal)
{
    struct pages pages;
    int error = pages_open(place->path, &pages);
    if (error != 0)
        return error;
    error = wal_check(place->path, &pages, ret_wal);
    if (error == 0 && *ret_wal != WAL_SOUND)
        pages_use_frames(&pages, *ret_wal == WAL_FOREIGN ? 0 : pages.wal.committed);
    if (error == 0)
        error = salvage_copy(&pages, place->tmp, ret);
    pages_close(&pages);
    return error;
}

static char *explain(const struct place *place, int error)
{
    if (error == -ENOSPC)
        return xasprintf(
            "%s: damaged, and there is no room for a second copy to salvage it into: make room on "
            "its disk, about %lld MiB, or move it away to start an empty queue",
            place->path,
            (long long)(size_of(place->path) + (size_of(place->wal) > 0 ? size_of(place->wal) : 0)) /
                    (1 << 20) +
                2);
    return xasprintf("%s: damaged, and it cannot be salvaged: %s", place->path, strerror(-error));
}

int queue_salvage(const char *path, char **ret_why)
{
    struct place place;
    struct salvage_result result;
    enum wal_state wal;
    place_init(&place, path);
    int error = place_remove(place.tmp);
    if (error == 0)
        error = copy_database(&place, &result, &wal);
    if (error == 0) {
        cleanup_free char *kept = kept_new_name(&place, KEPT_DAMAGED);
        error = swap(&place, kept);
        if (error == 0)
            log_result(place.path, &result, wal, kept);
    }
    if (error == 0) {
        kept_warn(&place, KEPT_DAMAGED);
    } else {
        *ret_why = explain(&place, error);
        unlink(place.tmp);
    }
    place_done(&place);
    return error;
}
