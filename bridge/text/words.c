/* text/words.c - numbers, times and payloads as people read them; see text/words.h. */
#include "text/words.h"

#include "base/utf8.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

const char *words_number(int64_t number, char text[static WORDS_BYTES])
{
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%lld", (long long)(number < 0 ? -number : number));
    char *out = text;
    if (number < 0)
        *out++ = '-';
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return text;
}

const char *words_duration(int64_t ms, char text[static WORDS_BYTES])
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};
    size_t i = 0;
    while (i < ARRAY_LEN(units) - 1 && ms < units[i].ms)
        i++;
    long long whole = ms / units[i].ms;
    long long rest = i + 1 < ARRAY_LEN(units) - 1 ? ms % units[i].ms / units[i + 1].ms : 0;
    if (rest > 0)
        snprintf(text, WORDS_BYTES, "%lld %s %lld %s", whole, units[i].name, rest, units[i + 1].name);
    else
        snprintf(text, WORDS_BYTES, "%lld %s", whole, units[i].name);
    return text;
}

const char *words_size(int64_t bytes, char text[static WORDS_BYTES])
{
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    if (bytes < 1000) {
        snprintf(text, WORDS_BYTES, "%lld bytes", (long long)bytes);
        return text;
    }
    double value = (double)bytes / 1000;
    size_t unit = 0;
    for (; value >= 999.95 && unit + 1 < ARRAY_LEN(units); unit++)
        value /= 1000;
    snprintf(text, WORDS_BYTES, "%.1f %s", value, units[unit]);
    return text;
}

const char *words_time(int64_t wall_ms, bool brief, char text[static WORDS_BYTES])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm local;
    if (!localtime_r(&seconds, &local) ||
        strftime(text, WORDS_BYTES, brief ? "%m-%d %H:%M:%S" : "%Y-%m-%d %H:%M:%S", &local) == 0)
        snprintf(text, WORDS_BYTES, "%lld s", (long long)seconds);
    return text;
}

int words_parse_duration(const char *text, int64_t *ret_ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"w", 604800000}, {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9) /* far below overflow */
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (strcmp(text + digits, units[i].name) != 0)
            continue;
        *ret_ms = strtoll(text, NULL, 10) * units[i].ms;
        return 0;
    }
    return -EINVAL;
}

/* ---- payloads ---- */

/* Also those of Unicode that end a line, or turn around what stands beside them. */
static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

/* As terminals have it: East Asian ones take two, combining ones none. The C library
 * knows, of the locale that every Debian has. */
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

bool words_is_text(const void *payload, size_t bytes)
{
    const char *text = payload;
    for (size_t i = 0; i < bytes;) {
        uint32_t code = 0;
        size_t length = utf8_sequence(text + i, bytes - i, &code);
        if (length == 0 || (is_control(code) && code != '\t' && code != '\n' && code != '\r'))
            return false;
        i += length;
    }
    return true;
}

size_t words_columns(const char *text)
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

/* What a line shows for the character at `at`: itself, or an escape of two. */
static size_t shown(const char *at, size_t length, uint32_t code, char piece[static 8])
{
    static const char controls[] = "\t\n\r", letters[] = "tnr";
    const char *known = length == 1 && *at != '\0' ? strchr(controls, *at) : NULL;
    if (known) {
        snprintf(piece, 8, "\\%c", letters[known - controls]);
        return 2;
    }
    snprintf(piece, 8, "%.*s", (int)length, at);
    return columns_of(code);
}

static void append_text(struct buf *out, const char *text, size_t bytes, size_t columns)
{
    size_t used = 0, fits = out->bytes; /* up to here there is room for "..." behind it */
    for (size_t i = 0; i < bytes;) {
        uint32_t code;
        size_t length = utf8_sequence(text + i, bytes - i, &code);
        char piece[8];
        size_t width = shown(text + i, length, code, piece);
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
        i += length;
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

void words_append_payload(struct buf *out, const void *payload, size_t bytes, size_t columns)
{
    size_t most = columns == 0 ? UNLIMITED_COLUMNS : columns;
    if (bytes == 0)
        return;
    buf_append(out, "", 0); /* so that there is memory */
    if (words_is_text(payload, bytes))
        append_text(out, payload, bytes, most);
    else
        append_hex(out, payload, bytes, most);
}

void words_append_safe(struct buf *out, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes;) {
        uint32_t code = 0;
        size_t length = utf8_sequence(text + i, bytes - i, &code);
        if (length > 0 && (!is_control(code) || code == '\t')) {
            buf_append(out, text + i, length);
            i += length;
        } else {
            buf_printf(out, "\\x%02x", (unsigned)(unsigned char)text[i++]);
        }
    }
}
