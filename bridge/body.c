/* body.c - what a payload is; see body.h.
 *
 * cJSON decides about the structure (it keeps to brackets, commas and colons,
 * and stops at a depth of 1000), but spells loosely: it takes 01, 1., -.5, raw
 * control characters in strings, \uXYZW, any control character as white space,
 * and a byte order mark. A backend that keeps to RFC 8259 would answer 400 to
 * such a body every time, so tokens_are_strict() looks at the spelling.
 *
 * In two things cJSON is stricter than the grammar, and such a payload counts as
 * text: escaped lone surrogates, and that depth.
 */
#include "body.h"

#include "json.h"
#include "utf8.h"

#include <cjson/cJSON.h>
#include <string.h>

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

/* The end of the string whose opening quote is at `at` (section 7), or NULL. */
static const unsigned char *string_end(const unsigned char *at, const unsigned char *end)
{
    for (at++; at < end; at++) {
        if (*at == '"')
            return at + 1;
        if (*at < 0x20)
            return NULL;
        if (*at != '\\')
            continue;
        if (++at == end || !memchr("\"\\/bfnrtu", *at, 9))
            return NULL;
        if (*at != 'u')
            continue;
        if (end - at < 5)
            return NULL;
        for (int i = 1; i <= 4; i++)
            if (!is_digit(at[i]) && !((at[i] | 0x20) >= 'a' && (at[i] | 0x20) <= 'f'))
                return NULL;
        at += 4;
    }
    return NULL;
}

/* Whether every number, string and white space is spelt as RFC 8259 wants
 * it. Brackets and words are cJSON's business. */
static bool tokens_are_strict(const unsigned char *at, const unsigned char *end)
{
    while (at && at < end) {
        if (*at == '"')
            at = string_end(at, end);
        else if (*at == '-' || is_digit(*at))
            at = (const unsigned char *)json_number_end((const char *)at, (const char *)end);
        else if (*at > ' ' || memchr("\t\n\r ", *at, 4))
            at++;
        else
            return false;
    }
    return at != NULL;
}

/* Whether UTF-8 text is one JSON text. */
static bool is_json(const char *text, size_t bytes)
{
    const unsigned char *at = (const unsigned char *)text;
    if (bytes == 0 || *at == 0xef) /* cJSON would skip a byte order mark */
        return false;
    if (!tokens_are_strict(at, at + bytes))
        return false;
    const char *end = NULL;
    cJSON *json = cJSON_ParseWithLengthOpts(text, bytes, &end, false);
    if (!json)
        return false;
    cJSON_Delete(json);
    while (end < text + bytes && strchr("\t\n\r ", *end)) /* no NUL here: see tokens_are_strict() */
        end++;
    return end == text + bytes;
}

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
    if (!utf8_valid(payload, bytes))
        return "application/octet-stream";
    if (is_json(payload, bytes))
        return "application/json";
    return is_plain(payload, bytes) ? "text/plain; charset=utf-8" : "application/octet-stream";
}

bool body_is_utf8(const void *payload, size_t bytes)
{
    return utf8_valid(payload, bytes);
}
