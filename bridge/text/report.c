/* text/report.c - facts as JSON, by cJSON; see text/report.h. */
#include "text/report.h"

#include "base/clock.h"

#include <cjson/cJSON.h>

/* A report is cJSON's item by another name: its header stays behind the fence. */
static cJSON *item(struct report *report)
{
    return (cJSON *)report;
}

static const cJSON *const_item(const struct report *report)
{
    return (const cJSON *)report;
}

static struct report *report_of(cJSON *made)
{
    if (!made)
        abort(); /* out of memory */
    return (struct report *)made;
}

struct report *report_new(void)
{
    return report_of(cJSON_CreateObject());
}

void report_free(struct report *report)
{
    cJSON_Delete(item(report));
}

void report_add_text(struct report *to, const char *name, const char *text)
{
    if (text)
        report_of(cJSON_AddStringToObject(item(to), name, text));
    else
        report_add_null(to, name);
}

void report_add_number(struct report *to, const char *name, int64_t number)
{
    report_of(cJSON_AddNumberToObject(item(to), name, (double)number));
}

void report_add_fraction(struct report *to, const char *name, double number)
{
    report_of(cJSON_AddNumberToObject(item(to), name, number));
}

void report_add_truth(struct report *to, const char *name, bool truth)
{
    report_of(cJSON_AddBoolToObject(item(to), name, truth));
}

void report_add_null(struct report *to, const char *name)
{
    report_of(cJSON_AddNullToObject(item(to), name));
}

void report_add_time(struct report *to, const char *name, int64_t wall_ms)
{
    char text[CLOCK_RFC3339_BYTES];
    if (wall_ms > 0)
        clock_format_rfc3339(wall_ms, text);
    report_add_text(to, name, wall_ms > 0 ? text : NULL);
}

struct report *report_add_object(struct report *to, const char *name)
{
    return report_of(cJSON_AddObjectToObject(item(to), name));
}

struct report *report_add_array(struct report *to, const char *name)
{
    return report_of(cJSON_AddArrayToObject(item(to), name));
}

struct report *report_append_object(struct report *array)
{
    struct report *object = report_new();
    if (!cJSON_AddItemToArray(item(array), item(object)))
        abort();
    return object;
}

void report_append_text(struct report *array, const char *text)
{
    struct report *made = report_of(cJSON_CreateString(text));
    if (!cJSON_AddItemToArray(item(array), item(made)))
        abort();
}

void report_add_report(struct report *to, const char *name, struct report *part)
{
    if (!cJSON_AddItemToObject(item(to), name, item(part)))
        abort();
}

char *report_print(const struct report *report, bool indented)
{
    char *text = indented ? cJSON_Print(const_item(report)) : cJSON_PrintUnformatted(const_item(report));
    if (!text)
        abort();
    return text;
}

struct report *report_parse(const char *text, size_t bytes)
{
    cJSON *parsed = cJSON_ParseWithLength(text, bytes);
    if (parsed && !cJSON_IsObject(parsed)) {
        cJSON_Delete(parsed);
        return NULL;
    }
    return (struct report *)parsed;
}

const struct report *report_get(const struct report *from, const char *name)
{
    return from ? (const struct report *)cJSON_GetObjectItemCaseSensitive(const_item(from), name) : NULL;
}

const struct report *report_first(const struct report *array)
{
    return array ? (const struct report *)const_item(array)->child : NULL;
}

const struct report *report_next(const struct report *one)
{
    return (const struct report *)const_item(one)->next;
}

const char *report_text(const struct report *from, const char *name)
{
    return cJSON_GetStringValue((const cJSON *)report_get(from, name));
}

int64_t report_number(const struct report *from, const char *name, int64_t otherwise)
{
    const cJSON *found = (const cJSON *)report_get(from, name);
    return cJSON_IsNumber(found) ? (int64_t)found->valuedouble : otherwise;
}

double report_fraction(const struct report *from, const char *name)
{
    const cJSON *found = (const cJSON *)report_get(from, name);
    return cJSON_IsNumber(found) ? found->valuedouble : -1;
}

bool report_truth(const struct report *from, const char *name)
{
    return cJSON_IsTrue((const cJSON *)report_get(from, name));
}
