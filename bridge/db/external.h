/* db/external.h - a connection to the daemon's database from another process. */
#ifndef SLUICE_DB_EXTERNAL_H
#define SLUICE_DB_EXTERNAL_H

#include "db/statement.h"

/* Opens it to read, or to write too. It waits for locks, and its commits do not sync. The schema
 * must be the newest. Errors, with *ret_why (what is wrong and what to do, freed by the caller):
 * -ENOENT there is no queue yet; -EACCES, -EROFS it may not be read, written;
 * -EPROTONOSUPPORT another schema; -EBADMSG damaged. */
int db_external_open(const char *path, bool write, struct db *ret, char **ret_why);
/* Makes all commits durable. */
int db_external_sync(const char *path);
/* Makes no checkpoint. */
void db_external_close(struct db *db);

#endif
