/* queue/sql.c - see queue/sql.h. */
#include "queue/sql.h"
#include "db/columns.h"

const char *const queue_statement_sql[Q_STATEMENTS] = {
#define STATEMENT(name, sql) [name] = sql,
#include "queue/statements.h"
};
