/* text/display.c - foreign text on a terminal; see text/display.h. */
#include "text/display.h"

#include "base/utf8.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

/* Includes the characters of Unicode that end a line or change the direction of writing. */
static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

/* East Asian characters take two columns, combining ones none. The C library knows them in
 * the locale C.UTF-8, which every Debian has. */
static size_t columns_of(uint32_t code)
{
    static locale_t unicode;
    if (code < 0x80)
        return 1;
    if (!unicode)
        unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (!unicode)
        return 1;
    locale_t before = uselocale(unicode);
    int columns = wcwidth((wchar_t)code);
    uselocale(before);
    return columns < 0 ? 1 : (size_t)columns;
}

/* The bytes of the character at `at`, or 0: the first byte must be escaped. */
static size_t readable(const char *at, size_t bytes, uint32_t *ret_code)
{
    size_t length = utf8_sequence(at, bytes, ret_code);
    return length > 0 && is_control(*ret_code) ? 0 : length;
}

static bool is_space(char byte)
{
    return byte == '\t' || byte == '\n' || byte == '\r';
}

size_t display_bad_bytes(const void *payload, size_t bytes)
{
    const char *text = payload;
    size_t bad = 0;
    for (size_t i = 0; i < bytes;) {
        uint32_t code = 0;
        size_t length = readable(text + i, bytes - i, &code);
        bad += length == 0 && !is_space(text[i]);
        i += length > 0 ? length : 1;
    }
    return bad;
}

bool display_is_text(const void *payload, size_t bytes)
{
    return display_bad_bytes(payload, bytes) <= bytes / 4;
}

size_t display_columns(const char *text)
{
    size_t columns = 0, bytes = strlen(text);
    for (size_t i = 0; i < bytes;) {
        uint32_t code;
        size_t length = utf8_sequence(text + i, bytes - i, &code);
        columns += length > 0 ? columns_of(code) : 1;
        i += length > 0 ? length : 1;
    }
    return columns;
}

enum { UNLIMITED_COLUMNS = 200 };

/* Writes the character at `at`, or the escape of a byte, to piece. length: of the character; 0: it is
 * no character that may be shown. Returns its columns. */
static size_t format_character(const char *at, size_t length, uint32_t code, char piece[static 8])
{
    if (is_space(*at)) {
        snprintf(piece, 8, "\\%c", *at == '\t' ? 't' : *at == '\n' ? 'n' : 'r');
        return 2;
    }
    if (length == 0) {
        snprintf(piece, 8, "\\x%02x", (unsigned)(unsigned char)*at);
        return 4;
    }
    snprintf(piece, 8, "%.*s", (int)length, at);
    return columns_of(code);
}

static void append_text(struct buf *out, const char *text, size_t bytes, size_t columns)
{
    size_t used = 0, fits = out->bytes; /* up to here, there is room for "..." after it */
    for (size_t i = 0; i < bytes;) {
        uint32_t code = 0;
        size_t length = readable(text + i, bytes - i, &code);
        char piece[8];
        size_t width = format_character(text + i, length, code, piece);
        if (used + width > columns) {
            out->bytes = fits;
            out->data[fits] = '\0';
            buf_append_text(out, "...");
            return;
        }
        buf_append_text(out, piece);
        used += width;
        if (used + 3 <= columns)
            fits = out->bytes;
        i += length > 0 ? length : 1;
    }
}

static void append_hex(struct buf *out, const unsigned char *data, size_t bytes, size_t columns)
{
    size_t room = columns > 6 ? (columns - 6) / 2 : 1;
    size_t most = bytes * 2 + 3 <= columns ? bytes : bytes < room ? bytes : room;
    buf_append_text(out, "x'");
    for (size_t i = 0; i < most; i++)
        buf_printf(out, "%02x", data[i]);
    buf_append_text(out, most < bytes ? "...'" : "'");
}

void display_append_payload(struct buf *out, const void *payload, size_t bytes, size_t columns)
{
    size_t most = columns == 0 ? UNLIMITED_COLUMNS : columns;
    if (bytes == 0)
        return;
    buf_append(out, "", 0); /* allocates, because append_text() may cut */
    if (display_is_text(payload, bytes))
        append_text(out, payload, bytes, most);
    else
        append_hex(out, payload, bytes, most);
}

void display_append_safe(struct buf *out, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes;) {
        uint32_t code = 0;
        size_t length = text[i] == '\t' ? 1 : readable(text + i, bytes - i, &code);
        if (length > 0)
            buf_append(out, text + i, length);
        else
            buf_printf(out, "\\x%02x", (unsigned)(unsigned char)text[i]);
        i += length > 0 ? length : 1;
    }
}
