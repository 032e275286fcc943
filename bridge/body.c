/* body.c - what a payload is; see body.h.
 *
 * This is on the way of every message, so the walk of json.h decides alone. That
 * it agrees with cJSON is tested, and cJSON is asked as well where a payload
 * becomes a part of something (body_json.c).
 */
#include "body.h"

#include "json.h"
#include "utf8.h"

/* Whether UTF-8 text has no control characters but tab, LF and CR. */
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

bool body_is_utf8(const void *payload, size_t bytes)
{
    return utf8_valid(payload, bytes);
}
