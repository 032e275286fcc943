/* message/row.c - see message/row.h. */
#include "message/row.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "message/history.h"

#include <cjson/cJSON.h>
#include <string.h>

struct message_row *message_row_copy(const struct message_row *row)
{
    struct message_row found = *row;
#define TEXT_ADDRESS(name, type) &found.message.name,
    const char **const texts[] = {&found.last_error, &found.history, &found.reason,
                                  MESSAGE_TEXTS(TEXT_ADDRESS)};
    size_t bytes = row->message.payload_bytes;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        bytes += *texts[i] ? strlen(*texts[i]) + 1 : 0;
    struct message_row *copy = xcalloc(1, sizeof *copy + bytes + 1);
    char *at = (char *)(copy + 1);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (!*texts[i])
            continue;
        const char *text = *texts[i];
        *texts[i] = at;
        at = stpcpy(at, text) + 1;
    }
    if (row->message.payload_bytes > 0)
        memcpy(at, row->message.payload, row->message.payload_bytes);
    found.message.payload = at;
    *copy = found;
    return copy;
}

char *message_row_target(const struct message_row *row)
{
    const char *target = row->message.target;
    if (!target)
        return NULL;
    size_t path_bytes = strcspn(target, "?");
    return xasprintf("%.*s%s", (int)path_bytes, target, target[path_bytes] != '\0' ? "?***" : "");
}

static void add_payload(cJSON *to, const struct message *message)
{
    cJSON_AddNumberToObject(to, "bytes", (double)message->payload_bytes);
    bool text = utf8_valid(message->payload, message->payload_bytes) &&
                !(message->payload_bytes > 0 && memchr(message->payload, '\0', message->payload_bytes));
    struct buf out cleanup_buf;
    buf_init(&out, BUF_MOST_BYTES);
    if (text)
        buf_append(&out, message->payload, message->payload_bytes);
    else
        base64_append(&out, message->payload, message->payload_bytes);
    cJSON_AddStringToObject(to, "payload", buf_text(&out));
    if (!text)
        cJSON_AddStringToObject(to, "encoding", "base64");
}

static void add_if(cJSON *to, const char *name, const char *text)
{
    if (text)
        cJSON_AddStringToObject(to, name, text);
}

/* null where the time is unknown. */
static void add_time(cJSON *to, const char *name, int64_t wall_ms)
{
    char text[CLOCK_RFC3339_BYTES];
    if (wall_ms > 0)
        clock_format_rfc3339(wall_ms, text);
    cJSON_AddItemToObject(to, name, wall_ms > 0 ? cJSON_CreateString(text) : cJSON_CreateNull());
}

static void add_event(void *context, const struct message_event *event)
{
    cJSON *to = cJSON_CreateObject();
    cJSON_AddItemToArray(context, to);
    cJSON_AddNumberToObject(to, "number", (double)event->number);
    add_time(to, "time", event->wall_ms);
    cJSON_AddStringToObject(to, "event", event->event);
    if (event->attempt > 0)
        cJSON_AddNumberToObject(to, "attempt", event->attempt);
    if (event->status != 0)
        cJSON_AddNumberToObject(to, "status", event->status);
    add_if(to, "error", event->error);
}

cJSON *message_row_json(const struct message_row *row)
{
    const struct message *message = &row->message;
    cleanup_free char *target = message_row_target(row);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "id", (double)message->id);
    cJSON_AddStringToObject(json, "state", row->dead ? "dead" : row->deferred ? "deferred" : "waiting");
    cJSON_AddStringToObject(json, "key", message->key);
    cJSON_AddStringToObject(json, "route", message->route);
    cJSON_AddStringToObject(json, "topic", message->topic);
    add_time(json, "received", message->received_ms);
    cJSON_AddStringToObject(json, "clock", message->clock_synchronised ? "synchronised" : "unsynchronised");
    if (message->late)
        add_time(json, "late_since", message->late_since_ms);
    cJSON_AddStringToObject(json, "source", message->source);
    add_if(json, "method", message->method);
    add_if(json, "target", target);
    add_if(json, "content_type", message->content_type);
    if (message->properties)
        cJSON_AddItemToObject(json, "user_properties", cJSON_Parse(message->properties));
    if (message->retained)
        cJSON_AddTrueToObject(json, "retained");
    if (message->expires_after_ms > 0)
        cJSON_AddNumberToObject(json, "expires_after_ms", (double)message->expires_after_ms);
    cJSON_AddNumberToObject(json, "attempts", message->attempts);
    if (row->last_status != 0)
        cJSON_AddNumberToObject(json, "last_status", row->last_status);
    add_if(json, "last_error", row->last_error);
    if (row->history)
        message_history_each(row->history, add_event, cJSON_AddArrayToObject(json, "history"));
    if (row->dead) {
        cJSON_AddStringToObject(json, "reason", row->reason);
        add_time(json, "died", row->died_ms);
    }
    add_payload(json, message);
    return json;
}
