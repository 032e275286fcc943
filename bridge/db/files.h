/* db/files.h - whether the files of an open database are still in their places. */
#ifndef SLUICE_DB_FILES_H
#define SLUICE_DB_FILES_H

#include "db/statement.h"
#include <stdbool.h>
#include <sys/stat.h>

enum db_file { DB_FILE_MAIN, DB_FILE_WAL, DB_FILE_SHM, DB_FILES };

/* Which file was in each place. inode 0: none. */
struct db_files {
    struct {
        dev_t device;
        ino_t inode;
    } file[DB_FILES];
};

/* Notes the files of the database that was just opened by this path (links are followed). A database
 * in memory has none. */
void db_files_note(struct db *db, const char *path, struct db_files *ret);
/* Whether the same file is in its place now. A file that was not noted, or that cannot be asked about,
 * counts as such. */
bool db_file_is_there(const struct db_files *files, struct db *db, const char *path, enum db_file which);
bool db_files_are_there(const struct db_files *files, struct db *db, const char *path);

#endif
