/* db/functions.h - what our SQL calls besides SQLite's own functions. */
#ifndef SLUICE_DB_FUNCTIONS_H
#define SLUICE_DB_FUNCTIONS_H

#include <sqlite3.h>

/* Makes known to a connection
 *     history_add(history, wall ms, event, attempt, status, error)    message_history_add
 *     packet_digest(topic, payload)                                   replay_digest
 * Returns SQLite's code. */
int db_add_functions(sqlite3 *handle);

#endif
