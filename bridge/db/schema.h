/* db/schema.h - the schema of the database, and its versions.
 *
 * The files of schema/ are the migrations, number 1 first; schema/embed.cmake puts them into
 * the program. The database keeps its version, the number of its last migration, in PRAGMA
 * user_version.
 */
#ifndef SLUICE_SCHEMA_H
#define SLUICE_SCHEMA_H

#include "db/statement.h"

struct schema_migration {
    int number;
    const char *name; /* file name */
    const char *sql;
};

extern const struct schema_migration schema_migrations[];
extern const int schema_migration_count;

/* Finds out whose database it is, before anything is changed. 0, or -Exxx: -EEXIST another
 * program's; -EPROTONOSUPPORT a newer sluice's (both with *ret_why, freed by the caller);
 * -EBADMSG damaged. */
int schema_identify(struct db *db, const char *path, char **ret_why);

/* Applies the migrations that the database lacks, each in a transaction of its own. path is
 * for the log; NULL: no log. On failure those before the failed one stay applied. */
int schema_migrate(struct db *db, const char *path, const struct schema_migration *migrations, int count);

/* For a process that must not migrate: 0 when version is the newest, otherwise
 * -EPROTONOSUPPORT and *ret_why, freed by the caller. */
int schema_check(const char *path, int version, int newest, char **ret_why);

#endif
