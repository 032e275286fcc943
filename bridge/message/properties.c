/* message/properties.c - the user properties of an MQTT 5 message; see message/properties.h. */
#include "message/properties.h"

#include "text/json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

static void append_quoted(struct buf *out, const char *text)
{
    buf_append_char(out, '"');
    json_append_escaped(out, text, strlen(text));
    buf_append_char(out, '"');
}

void properties_add(struct buf *text, const char *name, const char *value)
{
    size_t before = text->bytes;
    if (before > 0)
        buf_cut(text, before - strlen("]"));
    buf_append_char(text, before > 0 ? ',' : '[');
    buf_append_char(text, '[');
    append_quoted(text, name);
    buf_append_char(text, ',');
    append_quoted(text, value);
    if (buf_append_text(text, "]]") == 0 && !buf_overflowed(text))
        return;
    buf_cut(text, before > 0 ? before - strlen("]") : 0);
    text->overflowed = false;
    if (before > 0)
        buf_append_char(text, ']');
}

/* Returns how many properties have this name. out NULL: only counts them. */
static int append_values(const char *text, const char *name, struct buf *out)
{
    int count = 0;
    cJSON *json = text ? cJSON_Parse(text) : NULL;
    const cJSON *pair;
    cJSON_ArrayForEach(pair, json)
    {
        const char *own = cJSON_GetStringValue(cJSON_GetArrayItem(pair, 0));
        const char *value = cJSON_GetStringValue(cJSON_GetArrayItem(pair, 1));
        if (!own || !value || strcmp(own, name) != 0)
            continue;
        if (out && count > 0)
            buf_append_text(out, ", ");
        if (out)
            json_append_escaped(out, value, strlen(value));
        count++;
    }
    cJSON_Delete(json);
    return count;
}

bool properties_have(const char *text, const char *name)
{
    return append_values(text, name, NULL) > 0;
}

int properties_append_value(const char *text, const char *name, struct buf *out)
{
    append_values(text, name, out);
    return buf_overflowed(out) ? -EMSGSIZE : 0;
}
