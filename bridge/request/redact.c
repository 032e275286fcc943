/* request/redact.c - a backend's secrets. See request/redact.h. */
#include "request/redact.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/utf8.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* RFC 4648, section 4. */
static char *base64(const char *text)
{
    struct buf out;
    size_t bytes = strlen(text);
    buf_init(&out, (bytes + 2) / 3 * 4 + 1);
    base64_append(&out, text, bytes);
    buf_append_char(&out, '\0');
    return out.data; /* the caller's */
}

static char *basic_credentials(const struct config_backend *backend)
{
    cleanup_free char *pair = xasprintf("%s:%s", backend->username, backend->password);
    return base64(pair);
}

char *redact_authorization(const struct config_backend *backend)
{
    if (backend->bearer)
        return xasprintf("Bearer %s", backend->bearer);
    if (!backend->username)
        return NULL;
    cleanup_free char *credentials = basic_credentials(backend);
    return xasprintf("Basic %s", credentials);
}

/* ---- how somebody may write a secret ---- */

/* How many bytes at `at` stand for this one; 0: they do not. */
typedef size_t form_fn(const char *at, size_t room, unsigned char byte);

static size_t as_it_is(const char *at, size_t room, unsigned char byte)
{
    return room > 0 && (unsigned char)at[0] == byte;
}

static size_t in_hex(const char *prefix, const char *at, size_t room, unsigned char byte)
{
    char text[8];
    if (room == 0 || at[0] != prefix[0]) /* mostly */
        return 0;
    int length = snprintf(text, sizeof text, "%s%02x", prefix, byte);
    return room >= (size_t)length && strncasecmp(at, text, (size_t)length) == 0 ? (size_t)length : 0;
}

/* RFC 3986, section 2.1; and a blank in a form. */
static size_t in_url(const char *at, size_t room, unsigned char byte)
{
    return byte == ' ' && as_it_is(at, room, '+') ? 1 : in_hex("%", at, room, byte);
}

static size_t in_url_in_url(const char *at, size_t room, unsigned char byte)
{
    return in_hex("%25", at, room, byte);
}

/* RFC 8259, section 7. */
static size_t in_json(const char *at, size_t room, unsigned char byte)
{
    if (room >= 2 && at[0] == '\\' && (unsigned char)at[1] == byte && ispunct(byte))
        return 2;
    return in_hex("\\u00", at, room, byte);
}

static size_t in_html(const char *at, size_t room, unsigned char byte)
{
    static const struct {
        char byte;
        const char *name;
    } named[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&apos;"}};
    char decimal[8], hex[8];
    if (room == 0 || at[0] != '&')
        return 0;
    snprintf(decimal, sizeof decimal, "&#%u;", byte);
    snprintf(hex, sizeof hex, "&#x%x;", byte);
    const char *forms[2 + ARRAY_LEN(named)] = {decimal, hex};
    for (size_t i = 0; i < ARRAY_LEN(named); i++)
        forms[2 + i] = (unsigned char)named[i].byte == byte ? named[i].name : NULL;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (forms[i] && strlen(forms[i]) <= room && strncasecmp(at, forms[i], strlen(forms[i])) == 0)
            return strlen(forms[i]);
    return 0;
}

/* ---- striking it out ---- */

/* How far the beginning of a secret may reach: what looks like an escape may be none. */
struct ends {
    size_t at[16];
    size_t count;
};

static void add_end(struct ends *ends, size_t at)
{
    for (size_t i = 0; i < ends->count; i++)
        if (ends->at[i] == at)
            return;
    if (ends->count < ARRAY_LEN(ends->at))
        ends->at[ends->count++] = at;
}

static struct ends go_on(const struct ends *ends, const char *words, size_t bytes, unsigned char byte)
{
    static form_fn *const forms[] = {as_it_is, in_url, in_url_in_url, in_json, in_html};
    struct ends next = {.count = 0};
    for (size_t i = 0; i < ends->count; i++)
        for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
            size_t length = forms[f](words + ends->at[i], bytes - ends->at[i], byte);
            if (length > 0)
                add_end(&next, ends->at[i] + length);
        }
    return next;
}

/* Whether the words end here, or in the midst of an escape. */
static bool is_cut_off(const struct ends *ends, const char *words, size_t bytes)
{
    enum { LONGEST_ESCAPE = 8 };
    for (size_t i = 0; i < ends->count; i++) {
        const char *at = words + ends->at[i];
        size_t room = bytes - ends->at[i];
        if (room == 0 || (room < LONGEST_ESCAPE && memchr("%\\&", at[0], 3)))
            return true;
    }
    return false;
}

/* How many bytes of these words are the secret, whichever of its characters somebody
 * escaped, and how; or, where the words were cut off in its midst, its beginning. */
static size_t match(const char *words, size_t bytes, const char *secret)
{
    enum { LEAST = 4 };
    struct ends ends = {.count = 1};
    for (size_t count = 0; secret[count]; count++) {
        struct ends next = go_on(&ends, words, bytes, (unsigned char)secret[count]);
        if (next.count == 0)
            return count >= LEAST && is_cut_off(&ends, words, bytes) ? bytes : 0;
        ends = next;
    }
    size_t longest = 0;
    for (size_t i = 0; i < ends.count; i++)
        longest = ends.at[i] > longest ? ends.at[i] : longest;
    return longest;
}

/* Replaces every occurrence in place; "***" is never longer than it: secrets shorter
 * than three characters are padded over as far as they go. */
static void strike_text(char *words, size_t *bytes, const char *secret)
{
    for (size_t at = 0, stars; *secret && at < *bytes; at += stars) {
        size_t length = match(words + at, *bytes - at, secret);
        stars = length == 0 ? 1 : length < 3 ? length : 3;
        if (length == 0)
            continue;
        memset(words + at, '*', stars);
        memmove(words + at + stars, words + at + length, *bytes - at - length);
        *bytes -= length - stars;
    }
}

/* Also in the alphabet for URLs, without its padding (RFC 4648, section 5). */
static void strike_base64(char *words, size_t *bytes, char *encoded)
{
    strike_text(words, bytes, encoded);
    encoded[strcspn(encoded, "=")] = '\0';
    strike_text(words, bytes, encoded);
    for (char *at = encoded; *at; at++)
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
    strike_text(words, bytes, encoded);
}

static void strike(char *words, size_t *bytes, const char *secret)
{
    cleanup_free char *in_base64 = base64(secret);
    strike_text(words, bytes, secret);
    strike_base64(words, bytes, in_base64);
}

static void strike_pairs(const struct config_pair *pairs, size_t count, char *words, size_t *bytes)
{
    for (size_t i = 0; i < count; i++)
        if (pairs[i].secret)
            strike(words, bytes, pairs[i].value);
}

/* As it was sent, and decoded. */
static void strike_value(const char *encoded, size_t encoded_bytes, char *words, size_t *bytes)
{
    enum { LEAST = 4 };
    if (encoded_bytes < LEAST)
        return;
    cleanup_free char *value = xstrndup(encoded, encoded_bytes);
    strike(words, bytes, value);
    char *out = value;
    for (const char *at = value; *at; at++) {
        unsigned byte;
        if (*at == '%' && isxdigit((unsigned char)at[1]) && isxdigit((unsigned char)at[2])) {
            sscanf(at + 1, "%2x", &byte);
            at += 2;
        } else {
            byte = *at == '+' ? ' ' : (unsigned char)*at;
        }
        *out++ = (char)byte;
    }
    *out = '\0';
    if (strlen(value) >= LEAST)
        strike(words, bytes, value);
}

static void strike_query(const char *target, char *words, size_t *bytes)
{
    const char *at = strchr(target, '?');
    while (at && *at) {
        at++;
        size_t pair = strcspn(at, "&"), name = strcspn(at, "=");
        if (name < pair)
            strike_value(at + name + 1, pair - name - 1, words, bytes);
        else
            strike_value(at, pair, words, bytes);
        at += pair;
    }
}

static void strike_all(const struct config_backend *backend, char *words, size_t *bytes)
{
    strike_pairs(backend->query, backend->query_count, words, bytes);
    strike_pairs(backend->headers, backend->header_count, words, bytes);
    if (backend->bearer)
        strike(words, bytes, backend->bearer);
    if (backend->username) {
        cleanup_free char *credentials = basic_credentials(backend);
        strike_base64(words, bytes, credentials);
        strike(words, bytes, backend->password);
    }
}

/* Drops an incomplete character that the cut at the limit left. */
static size_t whole_characters(const char *text, size_t bytes)
{
    size_t start = bytes;
    while (start > 0 && bytes - start < 4 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start > 0 && bytes - (start - 1) < 4 && !utf8_valid(text + start - 1, bytes - (start - 1)))
        return start - 1;
    return bytes;
}

/* Blanks, controls, and the C1 controls U+0080 to U+009F; how many bytes. */
static size_t blank_bytes(const char *text, size_t bytes)
{
    unsigned char c = (unsigned char)text[0];
    if (c <= 0x20 || c == 0x7f)
        return 1;
    return bytes > 1 && c == 0xc2 && (unsigned char)text[1] < 0xa0 ? 2 : 0;
}

char *redact_words(const struct config_backend *backend, const char *words, size_t bytes)
{
    return redact_words_about(backend, NULL, NULL, words, bytes);
}

char *redact_words_about(const struct config_backend *backend, const struct config_route *route,
                         const char *target, const char *words, size_t bytes)
{
    cleanup_free char *copy = xstrndup("", 0);
    copy = xrealloc(copy, bytes + 1);
    memcpy(copy, words, bytes);
    strike_all(backend, copy, &bytes);
    if (route)
        strike_pairs(route->query, route->query_count, copy, &bytes);
    if (target)
        strike_query(target, copy, &bytes);

    char *line = xcalloc(REDACT_WORDS_BYTES + 1, 1);
    size_t used = 0;
    for (size_t i = 0, blank; i < bytes && used<REDACT_WORDS_BYTES; i += blank> 0 ? blank : 1) {
        blank = blank_bytes(copy + i, bytes - i);
        if (blank == 0)
            line[used++] = copy[i];
        else if (used > 0 && line[used - 1] != ' ')
            line[used++] = ' ';
    }
    while (used > 0 && line[used - 1] == ' ')
        used--;
    used = whole_characters(line, used);
    line[used] = '\0';
    if (!utf8_valid(line, used))
        for (size_t i = 0; i < used; i++)
            if ((unsigned char)line[i] >= 0x80)
                line[i] = '?';
    return line;
}
