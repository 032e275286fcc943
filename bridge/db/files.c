/* db/files.c - see db/files.h.
 *
 * A file stays open after its name was deleted, and SQLite goes on reading and writing it. It
 * vanishes when the process ends. A number of a file (inode) is not used again while the file is
 * open.
 */
#include "db/files.h"

#include <errno.h>

/* SQLite names the other two after the file that a link leads to. */
static char *name_of(struct db *db, const char *path, enum db_file which)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    const char *name = sqlite3_db_filename(db->handle, NULL);
    return which == DB_FILE_MAIN ? xstrdup(path) : xasprintf("%s%s", name ? name : path, suffixes[which]);
}

void db_files_note(struct db *db, const char *path, struct db_files *ret)
{
    const char *name = sqlite3_db_filename(db->handle, NULL);
    *ret = (struct db_files){0};
    for (int i = 0; name && *name && i < DB_FILES; i++) {
        cleanup_free char *of = name_of(db, path, (enum db_file)i);
        struct stat status;
        if (stat(of, &status) != 0)
            continue;
        ret->file[i].device = status.st_dev;
        ret->file[i].inode = status.st_ino;
    }
}

bool db_file_is_there(const struct db_files *files, struct db *db, const char *path, enum db_file which)
{
    struct stat status;
    if (files->file[which].inode == 0)
        return true;
    cleanup_free char *name = name_of(db, path, which);
    if (stat(name, &status) != 0)
        return errno != ENOENT && errno != ENOTDIR;
    return status.st_dev == files->file[which].device && status.st_ino == files->file[which].inode;
}

bool db_files_are_there(const struct db_files *files, struct db *db, const char *path)
{
    for (int i = 0; i < DB_FILES; i++)
        if (!db_file_is_there(files, db, path, (enum db_file)i))
            return false;
    return true;
}
