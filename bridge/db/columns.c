/* db/columns.c - see db/columns.h. */
#include "db/columns.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A number whose column may be NULL is NULL where it is 0. */
static void bind_number(sqlite3_stmt *statement, int column, int64_t number, const char *type)
{
    if (number == 0 && *type == 'I')
        sqlite3_bind_null(statement, column);
    else
        sqlite3_bind_int64(statement, column, number);
}

void columns_bind(sqlite3_stmt *insert, const struct message *message, int64_t id, int64_t run,
                  int64_t drained_ms)
{
    sqlite3_bind_int64(insert, COLUMN_id + 1, id);
    sqlite3_bind_int64(insert, COLUMN_run + 1, run);
#define BIND_TEXT(name, type) sqlite3_bind_text(insert, COLUMN_##name + 1, message->name, -1, SQLITE_STATIC);
    MESSAGE_TEXTS(BIND_TEXT)
#define BIND_NUMBER(name, type) bind_number(insert, COLUMN_##name + 1, message->name, type);
    MESSAGE_NUMBERS(BIND_NUMBER)
    if (message->late)
        sqlite3_bind_int64(insert, COLUMN_late_since_uptime_ms + 1, drained_ms);
    else
        sqlite3_bind_null(insert, COLUMN_late_since_uptime_ms + 1);
    /* A zero-length blob needs a pointer that is not NULL. */
    sqlite3_bind_blob64(insert, COLUMN_late_since_uptime_ms + 2,
                        message->payload_bytes > 0 ? message->payload : "", message->payload_bytes,
                        SQLITE_STATIC);
}

struct message columns_read(sqlite3_stmt *row, int64_t *ret_run)
{
    *ret_run = sqlite3_column_int64(row, COLUMN_run);
    return (struct message){.id = sqlite3_column_int64(row, COLUMN_id),
                            .late = sqlite3_column_type(row, COLUMN_late_since_uptime_ms) != SQLITE_NULL,
                            .late_since_ms = sqlite3_column_int64(row, COLUMN_late_since_uptime_ms),
                            .attempts = (unsigned)sqlite3_column_int(row, COLUMN_attempts),
                            .payload = sqlite3_column_blob(row, COLUMN_payload),
                            .payload_bytes = (size_t)sqlite3_column_bytes(row, COLUMN_payload),
#define READ_TEXT(name, type)   .name = (const char *)sqlite3_column_text(row, COLUMN_##name),
#define READ_NUMBER(name, type) .name = sqlite3_column_int64(row, COLUMN_##name),
                            MESSAGE_TEXTS(READ_TEXT) MESSAGE_NUMBERS(READ_NUMBER)};
}

struct run columns_read_run(sqlite3_stmt *row, int64_t id)
{
    const char *token = (const char *)sqlite3_column_text(row, 0);
    const char *boot_id = (const char *)sqlite3_column_text(row, 1);
    struct run run = {.id = id,
                      .this_boot = boot_id && strcmp(boot_id, clock_boot_id()) == 0,
                      .epoch_ms = sqlite3_column_int64(row, 2),
                      .synchronised = sqlite3_column_int(row, 3) != 0,
                      .away_since_ms = sqlite3_column_int64(row, 4)};
    snprintf(run.token, sizeof run.token, "%s", token ? token : "");
    return run;
}

void columns_complete(struct message *message, const struct run *run)
{
    message->this_boot = run->this_boot;
    message->clock_synchronised = run->synchronised;
    message->received_ms = run->epoch_ms + message->uptime_ms;
    if (message->late) /* schema/001_queue.sql; when nothing is known, 1970 is true as well */
        message->late_since_ms =
            message->late_since_ms > 0 ? run->epoch_ms + message->late_since_ms : run->away_since_ms;
    if (message->idempotency_key)
        snprintf(message->key, sizeof message->key, "%s", message->idempotency_key);
    else
        snprintf(message->key, sizeof message->key, "%s-%" PRId64, run->token, message->id);
}
