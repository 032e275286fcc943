/* queue/salvage/target.h - the new database, into which rows are salvaged. */
#ifndef SLUICE_QUEUE_SALVAGE_TARGET_H
#define SLUICE_QUEUE_SALVAGE_TARGET_H

#include "queue/salvage/tables.h"

struct target {
    struct db db;
    struct table_columns columns[TABLES];
    sqlite3_stmt *inserts[TABLES];
    int error; /* not 0: the new database cannot be written */
};

/* Creates the file. Returns 0 or -Exxx. */
int target_open(const char *path, struct target *ret);
/* keep: the path, to commit and to sync the file; NULL: the caller removes the file. */
int target_close(struct target *target, const char *keep);

/* Inserts a row, with the columns of its table in their order. False when it is not
 * plausible, or on target->error. */
bool target_insert(struct target *target, enum table table, sqlite3_stmt *row);

struct target_counts {
    uint64_t messages, dead_letters;
    uint64_t rekeyed; /* messages and dead letters whose run is lost: they have a new key */
};

/* After the last row. Returns 0 or -Exxx. */
int target_finish(struct target *target, struct target_counts *ret);

#endif
