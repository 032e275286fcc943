/* json_judge.c - what JSON is by another's judgement; see json_judge.h.
 *
 * cJSON keeps to brackets, commas and colons, and stops at a depth of 1000, but
 * spells loosely: it takes 01, 1., -.5, raw control characters in strings,
 * \uXYZW, any control character as white space, and a byte order mark.
 */
#include "text/json_judge.h"

#include "base/utf8.h"

#include <cjson/cJSON.h>
#include <string.h>

static size_t digits(const char *at, const char *end)
{
    const char *start = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return (size_t)(at - start);
}

/* The end of the number at `at` (RFC 8259, section 6), or NULL. */
static const char *number_end(const char *at, const char *end)
{
    if (at < end && *at == '-')
        at++;
    size_t whole = digits(at, end);
    if (whole == 0 || (whole > 1 && *at == '0'))
        return NULL;
    at += whole;
    if (at < end && *at == '.') {
        size_t fraction = digits(++at, end);
        if (fraction == 0)
            return NULL;
        at += fraction;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        size_t exponent = digits(at, end);
        if (exponent == 0)
            return NULL;
        at += exponent;
    }
    return at;
}

/* The end of the string whose opening quote is at `at` (section 7), or NULL. */
static const char *string_end(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        if (*at == '"')
            return at + 1;
        if ((unsigned char)*at < 0x20)
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
            if (!memchr("0123456789abcdefABCDEF", at[i], 22))
                return NULL;
        at += 4;
    }
    return NULL;
}

/* Whether every number, string and white space is spelt as RFC 8259 wants it.
 * Brackets and words are cJSON's business. */
static bool tokens_are_strict(const char *at, const char *end)
{
    while (at && at < end) {
        if (*at == '"')
            at = string_end(at, end);
        else if (*at == '-' || digits(at, at + 1) == 1)
            at = number_end(at, end);
        else if ((unsigned char)*at > ' ' || memchr("\t\n\r ", *at, 4))
            at++;
        else
            return false;
    }
    return at != NULL;
}

bool json_judge(const char *text, size_t bytes)
{
    if (bytes == 0 || (unsigned char)*text == 0xef || !utf8_valid(text, bytes) ||
        !tokens_are_strict(text, text + bytes))
        return false;
    const char *end = NULL;
    cJSON *json = cJSON_ParseWithLengthOpts(text, bytes, &end, false);
    if (!json)
        return false;
    cJSON_Delete(json);
    while (end < text + bytes && strchr("\t\n\r ", *end))
        end++;
    return end == text + bytes;
}
