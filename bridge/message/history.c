/* message/history.c - see message/history.h. */
#include "message/history.h"

#include "base/buf.h"

#include <cjson/cJSON.h>
#include <string.h>

#define cleanup_json __attribute__((cleanup(free_json)))
static void free_json(cJSON **json)
{
    cJSON_Delete(*json);
}

static double number_of(const cJSON *json, const char *name)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(json, name);
    return cJSON_IsNumber(found) ? found->valuedouble : 0;
}

static const char *text_of(const cJSON *json, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
}

/* The object that holds the texts of the event; the caller frees it. NULL: the line has no event. */
static cJSON *read_line(const char *line, size_t bytes, struct message_event *ret)
{
    cJSON *json = cJSON_ParseWithLength(line, bytes);
    const char *event = text_of(json, "event");
    if (!event) {
        cJSON_Delete(json);
        return NULL;
    }
    *ret = (struct message_event){.number = (int64_t)number_of(json, "number"),
                                  .wall_ms = (int64_t)number_of(json, "time"),
                                  .event = event,
                                  .attempt = (unsigned)number_of(json, "attempt"),
                                  .status = (int)number_of(json, "status"),
                                  .error = text_of(json, "error")};
    return json;
}

void message_history_each(const char *history, message_event_fn *visit, void *context)
{
    for (const char *line = history, *next; line && *line != '\0'; line = next) {
        size_t bytes = strcspn(line, "\n");
        next = line + bytes + (line[bytes] == '\n');
        struct message_event event;
        cleanup_json cJSON *json = read_line(line, bytes, &event);
        if (json)
            visit(context, &event);
    }
}

static bool is_same_failure(const struct message_event *a, const struct message_event *b)
{
    return a->attempt == b->attempt && a->status == b->status && a->error && b->error &&
           strcmp(a->error, b->error) == 0;
}

static char *print_line(const struct message_event *event, const struct message_event *before)
{
    cleanup_json cJSON *json = cJSON_CreateObject();
    bool known = strcmp(before->event, MESSAGE_FAILED) == 0 && is_same_failure(event, before);
    cJSON_AddNumberToObject(json, "number", (double)(before->number + 1));
    cJSON_AddNumberToObject(json, "time", (double)(event->wall_ms));
    cJSON_AddStringToObject(json, "event", event->event);
    if (event->attempt > 0)
        cJSON_AddNumberToObject(json, "attempt", event->attempt);
    if (event->status != 0 && !known)
        cJSON_AddNumberToObject(json, "status", event->status);
    if (event->error && !known)
        cJSON_AddStringToObject(json, "error", event->error);
    return cJSON_PrintUnformatted(json);
}

char *message_history_add(const char *history, const struct message_event *event)
{
    const char *old = history ? history : "", *last = strrchr(old, '\n');
    last = last ? last + 1 : old;
    struct message_event before, nothing = {.event = ""};
    cleanup_json cJSON *json = read_line(last, strlen(last), &before);
    cleanup_free char *line = print_line(event, json ? &before : &nothing);
    if (*old == '\0')
        return xstrdup(line);
    size_t first_bytes = strcspn(old, "\n"), events = 1;
    const char *kept = last; /* the latest events that stay, without the new one */
    for (; kept > old && events < MESSAGE_HISTORY_LAST - 1; events++)
        for (kept--; kept > old && kept[-1] != '\n'; kept--)
            ;
    if (kept == old)
        return xasprintf("%s\n%s", old, line);
    return xasprintf("%.*s\n%s\n%s", (int)first_bytes, old, kept, line);
}
