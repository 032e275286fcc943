/* request/redact.c - a backend's secrets. See request/redact.h.
 *
 * A text is searched as it is, and decoded in every order of up to three encodings: what
 * percent-encodes an HTML page encodes all of it, so the right order shows the secret.
 */
#include "request/redact.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/utf8.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    DECODINGS_MOST = 3,
    ESCAPE_BYTES = 8, /* no escape is longer */
    SECRET_LEAST = 4, /* a beginning of a secret, or a client's value, that is kept secret */
};

/* RFC 4648, section 4; the caller frees it. */
static char *base64(const char *text)
{
    struct buf out;
    size_t bytes = strlen(text);
    buf_init(&out, (bytes + 2) / 3 * 4 + 1);
    base64_append(&out, text, bytes);
    buf_append_char(&out, '\0');
    return out.data;
}

char *redact_authorization(const struct config_backend *backend)
{
    if (backend->bearer)
        return xasprintf("Bearer %s", backend->bearer);
    if (!backend->username)
        return NULL;
    cleanup_free char *pair = xasprintf("%s:%s", backend->username, backend->password);
    cleanup_free char *credentials = base64(pair);
    return xasprintf("Basic %s", credentials);
}

/* ---- decoding ---- */

static void append_code_point(struct buf *out, uint32_t code)
{
    if (code < 0x80) {
        buf_append_char(out, (char)code);
        return;
    }
    unsigned tails = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    buf_append_char(out, (char)(0xff00u >> (tails + 1) | code >> 6 * tails));
    while (tails-- > 0)
        buf_append_char(out, (char)(0x80 | (code >> 6 * tails & 0x3f)));
}

/* Appends what the escape at `at` stands for: of URLs (RFC 3986, section 2.1), JSON and its
 * like (RFC 8259, section 7), or HTML. Returns its length, 0 where it is none. */
static size_t decode_escape(const char *at, size_t room, struct buf *out)
{
    static const char *const named[] = {"&&amp;", "<&lt;", ">&gt;", "\"&quot;", "'&apos;"};
    char text[ESCAPE_BYTES + 1] = "";
    unsigned code = 0;
    int length = 0;
    for (size_t i = 0; i < room && i < ESCAPE_BYTES; i++)
        text[i] = (char)tolower((unsigned char)at[i]);
    if (sscanf(text, "%%%2x%n", &code, &length) == 1 && length == 3) {
        buf_append_char(out, (char)code);
        return 3;
    }
    if ((sscanf(text, "\\u%4x%n", &code, &length) != 1 || length != 6) &&
        (sscanf(text, "&#x%x;%n", &code, &length) != 1 || length == 0) &&
        (sscanf(text, "&#%u;%n", &code, &length) != 1 || length == 0))
        length = 0;
    if (length == 0 && text[0] == '\\' && ispunct((unsigned char)text[1])) {
        code = (unsigned char)text[1];
        length = 2;
    }
    for (size_t i = 0; length == 0 && i < ARRAY_LEN(named); i++)
        if (strncmp(text, named[i] + 1, strlen(named[i] + 1)) == 0) {
            code = (unsigned char)named[i][0];
            length = (int)strlen(named[i] + 1);
        }
    if (length > 0)
        append_code_point(out, code & 0x1fffff);
    return (size_t)length;
}

/* Decodes the escapes that begin with this character. Returns whether there was one. */
static bool decode(char mark, const char *text, size_t bytes, struct buf *out)
{
    bool found = false;
    buf_init(out, bytes + 1);
    for (size_t at = 0, length; at < bytes; at += length) {
        length = text[at] == mark ? decode_escape(text + at, bytes - at, out) : 0;
        found = found || length > 0;
        if (length > 0)
            continue;
        buf_append_char(out, text[at]);
        length = 1;
    }
    return found;
}

/* ---- secrets ---- */

/* Where blanks and base64 are written in other ways, all are the same. */
static void fold(char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        text[i] = (char)(text[i] == '+' || text[i] == '-' ? ' ' : text[i] == '_' ? '/' : text[i]);
}

/* Appends it, and its base64 without padding, each with a NUL after it. */
static void add_secret(struct buf *secrets, const char *secret)
{
    if (*secret == '\0')
        return;
    cleanup_free char *encoded = base64(secret);
    encoded[strcspn(encoded, "=")] = '\0';
    buf_append(secrets, secret, strlen(secret) + 1);
    buf_append(secrets, encoded, strlen(encoded) + 1);
}

static void add_pairs(struct buf *secrets, const struct config_pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++)
        if (pairs->items[i].secret)
            add_secret(secrets, pairs->items[i].value);
}

/* A client's values, as they were sent, and decoded. */
static void add_query(struct buf *secrets, const char *target)
{
    for (const char *at = strchr(target, '?'); at && *at;) {
        at++;
        size_t bytes = strcspn(at, "&"), name = strcspn(at, "=");
        const char *value = name < bytes ? at + name + 1 : at;
        cleanup_free char *encoded = xstrndup(value, (size_t)(at + bytes - value));
        cleanup_buf struct buf plain;
        decode('%', encoded, strlen(encoded), &plain);
        if (strlen(encoded) >= SECRET_LEAST)
            add_secret(secrets, encoded);
        if (strlen(buf_text(&plain)) >= SECRET_LEAST)
            add_secret(secrets, buf_text(&plain));
        at += bytes;
    }
}

static void add_all(struct buf *secrets, const struct config_backend *backend,
                    const struct config_route *route, const char *target)
{
    cleanup_free char *authorization = redact_authorization(backend);
    if (authorization)
        add_secret(secrets, strchr(authorization, ' ') + 1);
    if (backend->username)
        add_secret(secrets, backend->password);
    add_pairs(secrets, &backend->query);
    add_pairs(secrets, &backend->headers);
    if (route)
        add_pairs(secrets, &route->query);
    if (target)
        add_query(secrets, target);
    fold(secrets->data, secrets->bytes);
}

/* ---- searching ---- */

/* Whether the text ends with the beginning of the secret. */
static bool ends_with_part(const char *text, size_t bytes, const char *secret)
{
    size_t length = strlen(secret);
    for (size_t part = length < bytes ? length : bytes; part >= SECRET_LEAST; part--)
        if (memcmp(text + bytes - part, secret, part) == 0)
            return true;
    return false;
}

/* Whether the secret is in the text; or its beginning at the end, where the text was cut
 * off, maybe in the middle of an escape. */
static bool contains(const char *text, size_t bytes, const char *secret)
{
    if (memmem(text, bytes, secret, strlen(secret)) || ends_with_part(text, bytes, secret))
        return true;
    for (size_t cut = 1; cut < ESCAPE_BYTES && cut <= bytes; cut++)
        if (memchr("%\\&", text[bytes - cut], 3) && ends_with_part(text, bytes - cut, secret))
            return true;
    return false;
}

static bool shows_secret(char *text, size_t bytes, const struct buf *secrets, unsigned decodings)
{
    static const char marks[] = {'%', '\\', '&'};
    fold(text, bytes);
    for (size_t at = 0; at < secrets->bytes; at += strlen(secrets->data + at) + 1)
        if (contains(text, bytes, secrets->data + at))
            return true;
    for (size_t i = 0; i < ARRAY_LEN(marks) && decodings < DECODINGS_MOST; i++) {
        cleanup_buf struct buf plain;
        if (decode(marks[i], text, bytes, &plain) &&
            shows_secret(plain.data, plain.bytes, secrets, decodings + 1))
            return true;
    }
    return false;
}

/* ---- for people ---- */

/* On one line: blanks and controls (C1, too) become one blank, what is no UTF-8 a '?'. */
static char *one_line(const char *text, size_t bytes)
{
    struct buf line;
    buf_init(&line, REDACT_TEXT_BYTES);
    for (size_t at = 0, length; at < bytes; at += length) {
        uint32_t code = '?';
        length = utf8_sequence(text + at, bytes - at, &code);
        bool blank = code <= ' ' || (code >= 0x7f && code < 0xa0), broken = length == 0;
        length = broken ? 1 : length;
        if (blank && (line.bytes == 0 || line.data[line.bytes - 1] == ' '))
            continue;
        if (buf_append(&line, blank ? " " : broken ? "?" : text + at, blank ? 1 : length) < 0)
            break;
    }
    if (line.bytes > 0 && line.data[line.bytes - 1] == ' ')
        buf_cut(&line, line.bytes - 1);
    return line.data ? line.data : xstrdup("");
}

char *redact_text(const struct config_backend *backend, const struct config_route *route, const char *target,
                  const char *text, size_t bytes)
{
    cleanup_buf struct buf secrets;
    buf_init(&secrets, BUF_MOST_BYTES);
    add_all(&secrets, backend, route, target);
    cleanup_free char *copy = xcalloc(bytes + 1, 1);
    memcpy(copy, text, bytes);
    return shows_secret(copy, bytes, &secrets, 0) ? xstrdup(REDACT_WITHHELD) : one_line(text, bytes);
}
