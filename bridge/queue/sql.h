/* queue/sql.h - the statements of the queue, prepared when it is opened. */
#ifndef SLUICE_QUEUE_SQL_H
#define SLUICE_QUEUE_SQL_H

enum queue_statement {
#define STATEMENT(name, sql) name,
#include "queue/statements.h"
#undef STATEMENT
    Q_STATEMENTS
};

/* The text of each statement. A test checks their query plans. */
extern const char *const queue_statement_sql[Q_STATEMENTS];

#endif
