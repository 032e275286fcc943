/* db/columns.h - the columns of a stored message in SQL: lists, binds and reads.
 *
 * The lists are made from those in message/message.h, so that a new column is one line there
 * (and one in schema/). Statements that read a message select
 *
 *     MESSAGE_COLUMNS ", attempts, payload"
 *
 * from `message` or `dead_letter`, and statements that store one bind MESSAGE_BINDS.
 */
#ifndef SLUICE_DB_COLUMNS_H
#define SLUICE_DB_COLUMNS_H

#include "message/message.h"
#include <sqlite3.h>

/* The columns that a message keeps all its life, also as a dead letter; except payload. */
#define MESSAGE_COLUMNS                                                                                      \
    "id, run" MESSAGE_TEXTS(COLUMN_NAME) MESSAGE_NUMBERS(COLUMN_NAME) ", late_since_uptime_ms"
#define MESSAGE_BINDS "?, ?" MESSAGE_TEXTS(COLUMN_BIND) MESSAGE_NUMBERS(COLUMN_BIND) ", ?"
/* For db_step(): MESSAGE_COLUMNS and attempts. */
#define MESSAGE_TYPES "ii" MESSAGE_TEXTS(COLUMN_TYPE) MESSAGE_NUMBERS(COLUMN_TYPE) "Ii"

/* Keeps the fingerprints of messages and dead letters before they are deleted (queue/confirm.h). ids:
 * SQL, which of them. */
#define FINGERPRINTS_KEEP(ids)                                                                               \
    "INSERT OR REPLACE INTO fingerprint (id, packet_id, digest)"                                             \
    " SELECT id, packet_id, packet_digest(topic, payload) FROM message"                                      \
    " WHERE " ids " AND packet_id IS NOT NULL"                                                               \
    " UNION ALL SELECT id, packet_id, packet_digest(topic, payload) FROM dead_letter"                        \
    " WHERE " ids " AND packet_id IS NOT NULL"

#define COLUMN_NAME(name, type)  ", " #name
#define COLUMN_BIND(name, type)  ", ?"
#define COLUMN_TYPE(name, type)  type
#define COLUMN_INDEX(name, type) COLUMN_##name,

/* Places in that SELECT, from 0. */
enum message_column {
    COLUMN_id,
    COLUMN_run,
    MESSAGE_TEXTS(COLUMN_INDEX) MESSAGE_NUMBERS(COLUMN_INDEX) COLUMN_late_since_uptime_ms,
    COLUMN_attempts,
    COLUMN_payload,
    COLUMNS, /* what a statement selects in addition begins here */
};

/* A row of the table `run`: when and where its messages were received. */
struct run {
    int64_t id;
    char token[17];
    bool this_boot;
    int64_t epoch_ms;
    bool synchronised;
    int64_t away_since_ms;
};
#define RUN_COLUMNS "token, boot_id, epoch_ms, synchronised, away_since_ms"

/* Binds MESSAGE_BINDS, then the payload; drained_ms: for a message that is late. Texts and
 * payload must stay valid until the statement is reset. */
void columns_bind(sqlite3_stmt *insert, const struct message *message, int64_t id, int64_t run,
                  int64_t drained_ms);
/* The message in a row. Its pointers are valid as long as the row is. What depends on the run is
 * still missing: columns_complete. */
struct message columns_read(sqlite3_stmt *row, int64_t *ret_run);
/* The run in a row of RUN_COLUMNS. */
struct run columns_read_run(sqlite3_stmt *row, int64_t id);
/* Fills in the key and the times, which depend on the run. */
void columns_complete(struct message *message, const struct run *run);

#endif
