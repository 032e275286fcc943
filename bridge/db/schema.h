/* db/schema.h - the migrations of schema/, embedded by schema/embed.cmake, number 1
 * first. The database's version is kept in PRAGMA user_version. */
#ifndef SLUICE_SCHEMA_H
#define SLUICE_SCHEMA_H

struct schema_migration {
    int number;
    const char *name; /* file name */
    const char *sql;
};

extern const struct schema_migration schema_migrations[];
extern const int schema_migration_count;

#endif
