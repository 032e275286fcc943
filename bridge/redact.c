/* redact.c - a backend's secrets. See redact.h. */
#include "redact.h"
#include "base64.h"
#include "body.h"
#include "buf.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

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

/* Replaces every occurrence in place; "***" is never longer than it: secrets
 * shorter than three characters are padded over as far as they go. */
static void strike_text(char *words, size_t *bytes, const char *secret)
{
    size_t secret_bytes = strlen(secret);
    if (secret_bytes == 0)
        return;
    size_t stars = secret_bytes < 3 ? secret_bytes : 3;
    char *at = words;
    while ((at = memmem(at, *bytes - (size_t)(at - words), secret, secret_bytes)) != NULL) {
        size_t rest = *bytes - (size_t)(at - words) - secret_bytes;
        memset(at, '*', stars);
        memmove(at + stars, at + secret_bytes, rest);
        *bytes -= secret_bytes - stars;
        at += stars;
    }
}

/* As a JSON string may have it (RFC 8259, section 7); some escape '/' as well. */
static void strike_json(char *words, size_t *bytes, const char *secret, bool with_slash)
{
    struct buf escaped cleanup_buf;
    buf_init(&escaped, 2 * strlen(secret) + 1);
    for (const char *at = secret; *at; at++) {
        if (*at == '"' || *at == '\\' || (*at == '/' && with_slash))
            buf_append_char(&escaped, '\\');
        buf_append_char(&escaped, *at);
    }
    strike_text(words, bytes, buf_text(&escaped));
}

static void strike_percent_encoded(char *words, size_t *bytes, const char *secret)
{
    struct buf encoded cleanup_buf;
    buf_init(&encoded, 3 * strlen(secret) + 1);
    buf_append_percent_encoded(&encoded, secret, strlen(secret));
    strike_text(words, bytes, buf_text(&encoded));
    for (size_t i = 0; i + 2 < encoded.bytes; i++)
        if (encoded.data[i] == '%')
            for (size_t digit = i + 1; digit < i + 3; digit++)
                encoded.data[digit] = (char)tolower((unsigned char)encoded.data[digit]);
    strike_text(words, bytes, buf_text(&encoded));
}

static void strike(char *words, size_t *bytes, const char *secret)
{
    cleanup_free char *in_base64 = base64(secret);
    strike_text(words, bytes, secret);
    strike_json(words, bytes, secret, false);
    strike_json(words, bytes, secret, true);
    strike_percent_encoded(words, bytes, secret);
    strike_text(words, bytes, in_base64);
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
        strike_text(words, bytes, credentials);
        strike(words, bytes, backend->password);
    }
}

/* Drops an incomplete character that the cut at the limit left. */
static size_t whole_characters(const char *text, size_t bytes)
{
    size_t start = bytes;
    while (start > 0 && bytes - start < 4 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start > 0 && bytes - (start - 1) < 4 && !body_is_utf8(text + start - 1, bytes - (start - 1)))
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
    if (!body_is_utf8(line, used))
        for (size_t i = 0; i < used; i++)
            if ((unsigned char)line[i] >= 0x80)
                line[i] = '?';
    return line;
}
