/* queue/salvage/tables.h - the tables of a queue, and the SQL that is made of their
 * columns. */
#ifndef SLUICE_QUEUE_SALVAGE_TABLES_H
#define SLUICE_QUEUE_SALVAGE_TABLES_H

#include "db/db.h"

#include <stdbool.h>

/* The rows of a page are compared with the tables in this order. */
enum table {
    MESSAGE,
    DEAD_LETTER,
    RUN,
    SCHEMA,
    FINGERPRINT,
    RESCAN,
    LAST_COPIES,
    HELD,
    RUN_TOKEN, /* the index on run.token */
    PROBLEM,
    SUBSCRIPTION,
    SESSION,
    DROPPED,
    DEVICE,
    TABLES
};

struct table_facts {
    const char *name;
    bool rowid;        /* its pages are those of a table; otherwise those of an index (WITHOUT ROWID) */
    bool copied;       /* otherwise its rows are only recognised */
    const char *newer; /* SQL: of two rows with one key, when the later one replaces the other; NULL: never */
};

extern const struct table_facts table_facts[TABLES];

/* The columns of a table in the newest schema, as parts of SQL. */
struct table_columns {
    char *names;    /* "id, run, ..." */
    char *values;   /* "?, ?, ..." */
    char *declared; /* "id INTEGER PRIMARY KEY, run, attempts DEFAULT 0, ..." */
    char *key;      /* of the primary key: "reason, route" */
    char *updates;  /* all others: "run = excluded.run, ..." */
    char *checks;   /* that a row has the types of a STRICT table: "typeof(run) = 'integer' AND ..." */
};

/* db has the newest schema. Adds the tables SCHEMA and RUN_TOKEN to it, which are
 * temporary. Returns 0 or -Exxx; tables_done() is needed in both cases. */
int tables_learn(struct db *db, struct table_columns ret[static TABLES]);
void tables_done(struct table_columns columns[static TABLES]);

#endif
