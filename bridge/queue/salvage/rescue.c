/* queue/salvage/rescue.c - see queue/salvage/rescue.h. */
#include "queue/salvage/rescue.h"
#include "base/disk.h"
#include "base/log.h"
#include "db/db.h"
#include "queue/salvage/kept.h"
#include "queue/salvage/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int write_page(int fd, uint32_t number, const uint8_t *page)
{
    ssize_t written = pwrite(fd, page, PAGE_BYTES, (off_t)(number - 1) * PAGE_BYTES);
    return written == PAGE_BYTES ? 0 : written < 0 ? -errno : -ENOSPC;
}

/* Writes what the log has into the copy of the database. No power was cut, so all of its commits count. */
static int apply_log(const char *path)
{
    struct pages pages;
    uint8_t page[PAGE_BYTES];
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int error = fd < 0 ? -errno : pages_open(path, &pages);
    if (error == 0) {
        pages_use_frames(&pages, pages.wal.committed);
        for (uint32_t i = 1; i <= pages.count && error == 0; i++)
            if (pages.frames[i] != 0 && pages_read(&pages, i, page))
                error = write_page(fd, i, page);
        pages_close(&pages);
    }
    if (fd >= 0)
        close(fd);
    return error;
}

/* SQLite cannot read it: makes one file that is as damaged, to be salvaged in its place. */
static int copy_damaged(struct db *from, const char *to)
{
    cleanup_free char *log = xasprintf("%s-wal", to);
    int error = place_remove(to);
    if (error == 0)
        error = place_remove(log);
    if (error == 0)
        error = db_copy_files(from, to, log);
    if (error == 0)
        error = apply_log(to);
    unlink(log);
    return error;
}

static int copy(struct db *from, const struct place *place)
{
    int error = place_remove(place->tmp);
    if (error == 0)
        error = db_copy(from, place->tmp);
    if (error == -EBADMSG || error == -EIO) { /* of the database, or of the target */
        error = copy_damaged(from, place->tmp);
        from->damaged |= error == 0;
    }
    if (error == 0)
        error = disk_sync_path(place->tmp);
    if (error == 0)
        error = place_rename(place->tmp, place->rescued);
    if (error == 0)
        error = disk_sync_path(place->directory);
    if (error != 0) { /* the next start must not take an old copy */
        unlink(place->tmp);
        unlink(place->rescued);
    }
    return error;
}

int queue_rescue_copy(struct db *from, const char *path, char **ret_why)
{
    struct place place;
    place_init(&place, path);
    int error = copy(from, &place);
    if (error != 0)
        *ret_why =
            xasprintf("%s: its files were deleted or replaced, and what they had cannot be saved: %s%s", path,
                      strerror(-error), error == -ENOENT ? ": the directory is not there" : "");
    place_done(&place);
    return error;
}

static int clear(const char *path, bool ours, const char *kept)
{
    return ours ? place_remove(path) : place_rename_if_exists(path, kept);
}

/* The database goes before its log: SQLite would apply a log to any database beside it. */
static int finish(const struct place *place, bool our_main, bool our_wal, const char *kept)
{
    cleanup_free char *kept_wal = xasprintf("%s-wal", kept);
    int error = clear(place->path, our_main, kept);
    if (error == 0)
        error = clear(place->wal, our_wal, kept_wal);
    if (error == 0)
        error = place_remove(place->shm);
    if (error == 0)
        error = disk_sync_path(place->directory);
    if (error == 0)
        error = place_rename(place->rescued, place->path);
    return error == 0 ? disk_sync_path(place->directory) : error;
}

int queue_rescue_finish(const char *path, const bool ours[static DB_FILES], char **ret_kept, char **ret_why)
{
    struct place place;
    place_init(&place, path);
    char *kept = kept_new_name(&place, KEPT_REPLACED);
    int error = finish(&place, ours[DB_FILE_MAIN], ours[DB_FILE_WAL], kept);
    if (error != 0)
        *ret_why =
            xasprintf("%s: what its deleted files had is saved as %s, which cannot be put in its place: %s",
                      path, place.rescued, strerror(-error));
    bool is_kept = error == 0 && place_exists(kept);
    if (is_kept) {
        *ret_kept = kept;
        kept_warn(&place, KEPT_REPLACED);
    } else {
        free(kept);
    }
    place_done(&place);
    return error;
}

int queue_rescue_resume(const struct place *place)
{
    if (!place_exists(place->rescued))
        return 0;
    cleanup_free char *kept = kept_new_name(place, KEPT_REPLACED);
    log_notice(EVENT_SALVAGE_RESUMED, "%s: %s is put in its place", place->path, place->rescued);
    return finish(place, false, false, kept);
}
