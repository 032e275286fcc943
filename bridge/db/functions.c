/* db/functions.c - see db/functions.h. */
#include "db/functions.h"
#include "message/history.h"
#include "message/replay.h"

/* history_add(history, wall ms, event, attempt, status, error) */
static void history_add(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    const struct message_event event = {.wall_ms = sqlite3_value_int64(values[1]),
                                        .event = (const char *)sqlite3_value_text(values[2]),
                                        .attempt = (unsigned)sqlite3_value_int(values[3]),
                                        .status = sqlite3_value_int(values[4]),
                                        .error = (const char *)sqlite3_value_text(values[5])};
    char *history = message_history_add((const char *)sqlite3_value_text(values[0]), &event);
    sqlite3_result_text(context, history, -1, free);
}

/* packet_digest(topic, payload); NULL where they are not of these types. */
static void packet_digest(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    const char *topic = (const char *)sqlite3_value_text(values[0]);
    const void *payload = sqlite3_value_blob(values[1]);
    if (topic)
        sqlite3_result_int64(context,
                             (int64_t)replay_digest(topic, payload, (size_t)sqlite3_value_bytes(values[1])));
}

int db_add_functions(sqlite3 *handle)
{
    enum { HOW = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY };
    int code = sqlite3_create_function_v2(handle, "history_add", 6, HOW, NULL, history_add, NULL, NULL, NULL);
    if (code != SQLITE_OK)
        return code;
    return sqlite3_create_function_v2(handle, "packet_digest", 2, HOW, NULL, packet_digest, NULL, NULL, NULL);
}
