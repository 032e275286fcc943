/* queue/admin/internal.h - what queue_admin*.c share; nobody else includes it. */
#ifndef SLUICE_QUEUE_ADMIN_PRIVATE_H
#define SLUICE_QUEUE_ADMIN_PRIVATE_H

#include "db/external.h"
#include "queue/admin/admin.h"

struct queue_admin {
    struct db db;
    char *path;
    char *words;
    bool changed; /* something was committed that is not synced yet */
};

/* Notes what SQLite says; returns -Exxx, 0 where nothing is wrong. */
int queue_admin_result(struct queue_admin *admin, int code, const char *doing);
int queue_admin_prepare(struct queue_admin *admin, const char *sql, sqlite3_stmt **ret);

#endif
