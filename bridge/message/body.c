/* message/body.c - what kind of bytes a payload is; see message/body.h. */
#include "message/body.h"

#include "base/utf8.h"
#include "text/json.h"

#include <string.h>

/* Whether UTF-8 text has no control characters except tab, LF and CR. */
static bool is_plain(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
            return false;
        if (c == 0xc2 && (unsigned char)text[i + 1] < 0xa0)
            return false; /* U+0080 to U+009F; after 0xc2 there is another byte */
    }
    return true;
}

const char *body_content_type(const void *payload, size_t bytes)
{
    struct json_fault fault;
    if (json_check(payload, bytes, NULL, NULL, &fault) == 0)
        return "application/json";
    if (utf8_valid(payload, bytes) && is_plain(payload, bytes))
        return "text/plain; charset=utf-8";
    return "application/octet-stream";
}

static void note_age(void *context, const struct json_member *member)
{
    const char **ret_value = context;
    const char *end = member->value + member->value_bytes;
    if (json_string_is(member->name, member->name_bytes, "age") && json_number_end(member->value, end) == end)
        *ret_value = member->value;
}

/* The number of the member "age", the last one where there are several; NULL: there is none. */
static const char *find_age(const char *payload, size_t bytes)
{
    struct json_fault fault;
    const char *value = NULL;
    return json_check(payload, bytes, note_age, &value, &fault) == 0 ? value : NULL;
}

bool body_is_repeated(const void *payload, size_t bytes, const void *again, size_t again_bytes)
{
    const char *one = bytes > 0 ? payload : "", *other = again_bytes > 0 ? again : "";
    if (bytes == again_bytes && memcmp(one, other, bytes) == 0)
        return true;
    const char *age = find_age(one, bytes), *other_age = find_age(other, again_bytes);
    if (!age || !other_age || age - one != other_age - other || memcmp(one, other, (size_t)(age - one)) != 0)
        return false;
    const char *rest = json_number_end(age, one + bytes);
    const char *other_rest = json_number_end(other_age, other + again_bytes);
    size_t left = (size_t)(one + bytes - rest);
    return left == (size_t)(other + again_bytes - other_rest) && memcmp(rest, other_rest, left) == 0;
}
