/* text/status.c - the fields of the status as JSON; see text/status.h. */
#include "text/status.h"

#include "base/clock.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const names[] = {
#define FIELD_NAME(constant, place, name, type, unit, meaning) name,
    STATUS_FIELDS(FIELD_NAME)
#undef FIELD_NAME
};

/* ---- write ---- */

void status_add_text(cJSON *to, enum status_field field, const char *text)
{
    if (text)
        cJSON_AddStringToObject(to, names[field], text);
    else
        cJSON_AddNullToObject(to, names[field]);
}

void status_add_number(cJSON *to, enum status_field field, int64_t number)
{
    status_add_fraction(to, field, (double)number);
}

void status_add_fraction(cJSON *to, enum status_field field, double number)
{
    cJSON_AddNumberToObject(to, names[field], number);
}

void status_add_bool(cJSON *to, enum status_field field, bool is)
{
    cJSON_AddBoolToObject(to, names[field], is);
}

void status_add_time(cJSON *to, enum status_field field, int64_t wall_ms)
{
    char text[CLOCK_RFC3339_BYTES];
    if (wall_ms > 0)
        clock_format_rfc3339(wall_ms, text);
    status_add_text(to, field, wall_ms > 0 ? text : NULL);
}

cJSON *status_add_object(cJSON *to, enum status_field field)
{
    return cJSON_AddObjectToObject(to, names[field]);
}

cJSON *status_add_list(cJSON *to, enum status_field field)
{
    return cJSON_AddArrayToObject(to, names[field]);
}

void status_add_reference(cJSON *to, enum status_field field, cJSON *object)
{
    cJSON_AddItemReferenceToObject(to, names[field], object);
}

cJSON *status_append(cJSON *list)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddItemToArray(list, object);
    return object;
}

/* ---- read ---- */

const cJSON *status_get(const cJSON *from, enum status_field field)
{
    return cJSON_GetObjectItemCaseSensitive(from, names[field]);
}

const cJSON *status_first(const cJSON *from, enum status_field list)
{
    const cJSON *found = status_get(from, list);
    return found ? found->child : NULL;
}

const char *status_text(const cJSON *from, enum status_field field)
{
    return cJSON_GetStringValue(status_get(from, field));
}

int64_t status_number(const cJSON *from, enum status_field field, int64_t otherwise)
{
    return (int64_t)status_fraction(from, field, (double)otherwise);
}

double status_fraction(const cJSON *from, enum status_field field, double otherwise)
{
    const cJSON *found = status_get(from, field);
    return cJSON_IsNumber(found) ? found->valuedouble : otherwise;
}

bool status_is(const cJSON *from, enum status_field field)
{
    return cJSON_IsTrue(status_get(from, field));
}

int64_t status_time(const cJSON *from, enum status_field field)
{
    const char *text = status_text(from, field);
    struct tm utc = {.tm_year = 0};
    int ms = 0;
    if (!text || sscanf(text, "%d-%d-%dT%d:%d:%d.%3dZ", &utc.tm_year, &utc.tm_mon, &utc.tm_mday, &utc.tm_hour,
                        &utc.tm_min, &utc.tm_sec, &ms) != 7)
        return 0;
    utc.tm_year -= 1900;
    utc.tm_mon -= 1;
    return (int64_t)timegm(&utc) * 1000 + ms;
}

const cJSON *status_find(const cJSON *from, enum status_field list, enum status_field field, const char *text)
{
    const cJSON *object = status_first(from, list);
    for (; object; object = object->next) {
        const char *found = status_text(object, field);
        if (found && strcmp(found, text) == 0)
            return object;
    }
    return NULL;
}
