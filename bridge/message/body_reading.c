/* message/body_reading.c - see message/body_reading.h.
 *
 * By cJSON, which is more tolerant than text/json.h: a device whose JSON is not quite
 * valid must get its acknowledgement too; otherwise it would send the reading for ever.
 */
#include "message/body_reading.h"

#include <cjson/cJSON.h>
#include <errno.h>

/* Whether it is an unsigned number of 32 bits. */
static bool get_number(const cJSON *member, uint32_t *ret)
{
    double value = cJSON_IsNumber(member) ? member->valuedouble : -1;
    if (!(value >= 0 && value <= UINT32_MAX))
        return false;
    *ret = (uint32_t)value;
    return *ret == value;
}

static int parse(const cJSON *object, struct device_reading *ret, const char **ret_why)
{
    const cJSON *boot = cJSON_GetObjectItemCaseSensitive(object, "b");
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, "s");
    const cJSON *oldest = cJSON_GetObjectItemCaseSensitive(object, "lo");
    const cJSON *age = cJSON_GetObjectItemCaseSensitive(object, "age");
    if (!boot && !number && !oldest)
        return -ENOENT;
    struct device_reading reading;
    uint32_t age_ms;
    if (!boot || !number || !oldest)
        *ret_why = "of the members b, s and lo some are missing";
    else if (!get_number(boot, &reading.boot) || !get_number(number, &reading.number) ||
             !get_number(oldest, &reading.oldest))
        *ret_why = "b, s and lo must be whole numbers from 0 to 4294967295";
    else if (reading.oldest < 1 || reading.oldest > reading.number)
        *ret_why = "lo must be from 1 to s";
    else if (age && !get_number(age, &age_ms))
        *ret_why = "age must be a whole number of milliseconds, from 0 to 4294967295";
    else {
        *ret = reading;
        return 0;
    }
    return -EINVAL;
}

int body_reading_parse(const void *payload, size_t bytes, struct device_reading *ret, const char **ret_why)
{
    cJSON *json = cJSON_ParseWithLength(payload, bytes);
    int error = cJSON_IsObject(json) ? parse(json, ret, ret_why) : -ENOENT;
    cJSON_Delete(json);
    return error;
}
