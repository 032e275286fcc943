/* queue/sql.c - see queue/sql.h. */
#include "queue/sql.h"
#include "db/columns.h"

/* Of a dead letter, what is long: see queue_row_bytes. */
#define DEAD_BYTES                                                                                           \
    "length(payload) + length(topic) + coalesce(length(target), 0) + coalesce(length(last_error), 0)"        \
    " + coalesce(length(history), 0)"

const char *const queue_statement_sql[Q_STATEMENTS] = {
#define STATEMENT(name, sql) [name] = sql,
#include "queue/statements.h"
};
