/* queue/admin/internal.h - what the files of queue/admin share. */
#ifndef SLUICE_QUEUE_ADMIN_PRIVATE_H
#define SLUICE_QUEUE_ADMIN_PRIVATE_H

#include "db/external.h"
#include "queue/admin/admin.h"

struct queue_admin {
    struct db db;
    char *path;
    char *error;  /* the last one; or NULL */
    bool changed; /* a commit is not synced yet */
};

/* Remembers SQLite's error for queue_admin_error, and returns it as -Exxx; 0: no error. */
int queue_admin_result(struct queue_admin *admin, int code, const char *doing);
int queue_admin_prepare(struct queue_admin *admin, const char *sql, sqlite3_stmt **ret);

#endif
