/* db_function.c - what our SQL calls besides SQLite's own functions. */
#include "db.h"
#include "message_history.h"

/* history_add(history, wall ms, event, attempt, status, words) */
static void history_add(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    const struct message_event event = {.wall_ms = sqlite3_value_int64(values[1]),
                                        .event = (const char *)sqlite3_value_text(values[2]),
                                        .attempt = (unsigned)sqlite3_value_int(values[3]),
                                        .status = sqlite3_value_int(values[4]),
                                        .words = (const char *)sqlite3_value_text(values[5])};
    char *history = message_history_add((const char *)sqlite3_value_text(values[0]), &event);
    sqlite3_result_text(context, history, -1, free);
}

int db_add_functions(sqlite3 *handle)
{
    return sqlite3_create_function_v2(handle, "history_add", 6,
                                      SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL,
                                      history_add, NULL, NULL, NULL);
}
