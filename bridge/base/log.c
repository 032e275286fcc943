/* base/log.c - one line an event, to standard error; see base/log.h.
 *
 * A line is put together on the stack and written with one write(2), so lines
 * of several processes on one terminal do not mix. A message longer than
 * MESSAGE_BYTES is cut, and ends in "...". What cannot be written is lost: there
 * is nobody left to tell.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_BYTES 2048u
#define PREFIX_BYTES  64u

static const struct {
    const char *name;
    int priority; /* syslog(3) */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", 3},   [LOG_LEVEL_WARNING] = {"warning", 4},
    [LOG_LEVEL_NOTICE] = {"notice", 5}, [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

/* There is one standard error in a process, and so one of these. */
static struct {
    enum log_level most;
    bool journal;
    bool all; /* whatever the configuration says */
} state = {.most = LOG_LEVEL_INFO};

void log_init(enum log_level most)
{
    state.most = most;
    state.all = most == LOG_LEVEL_DEBUG;
    state.journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_limit(enum log_level most)
{
    if (!state.all)
        state.most = most;
}

bool log_enabled(enum log_level level)
{
    return level <= state.most;
}

/* Appends text with everything that is not a printable character (controls of
 * ASCII and of ISO 6429, which terminals obey too, and bytes that are no UTF-8)
 * written as \xNN; `line` has four bytes for each of text. */
static size_t escape(char *line, const char *text, size_t bytes)
{
    static const char hex[] = "0123456789abcdef";
    char *to = line;
    for (size_t i = 0; i < bytes;) {
        uint32_t code = 0;
        size_t length = utf8_sequence(text + i, bytes - i, &code);
        if (length && code >= 0x20 && !(code >= 0x7f && code <= 0x9f)) {
            memcpy(to, text + i, length);
            to += length;
            i += length;
            continue;
        }
        for (size_t end = i + (length ? length : 1); i < end; i++) {
            unsigned char c = (unsigned char)text[i];
            *to++ = '\\';
            *to++ = 'x';
            *to++ = hex[c >> 4];
            *to++ = hex[c & 15];
        }
    }
    return (size_t)(to - line);
}

static void PRINTF_LIKE(2, 0) log_line(enum log_level level, const char *format, va_list args)
{
    if (!log_enabled(level))
        return;

    char message[MESSAGE_BYTES];
    int length = vsnprintf(message, sizeof(message), format, args);
    assert(length >= 0);
    size_t bytes = (size_t)length;
    if (bytes >= sizeof(message)) {
        bytes = sizeof(message) - sizeof("...");
        while (bytes > 0 && ((unsigned char)message[bytes] & 0xc0) == 0x80)
            bytes--; /* not in the middle of a character */
        memcpy(message + bytes, "...", sizeof("..."));
        bytes += 3;
    }

    char line[PREFIX_BYTES + 4 * MESSAGE_BYTES + 1];
    int prefix;
    if (state.journal) {
        prefix = snprintf(line, PREFIX_BYTES, "<%d>", levels[level].priority);
    } else {
        char now[CLOCK_RFC3339_BYTES];
        clock_format_rfc3339(clock_wall_ms(), now);
        prefix = snprintf(line, PREFIX_BYTES, "%s %s ", now, levels[level].name);
    }
    assert(prefix > 0 && (size_t)prefix < PREFIX_BYTES);
    size_t line_bytes = (size_t)prefix;
    line_bytes += escape(line + line_bytes, message, bytes);
    line[line_bytes++] = '\n';
    if (write(STDERR_FILENO, line, line_bytes) < 0)
        return;
}

void log_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LOG_LEVEL_ERROR, format, args);
    va_end(args);
}

void log_warning(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LOG_LEVEL_WARNING, format, args);
    va_end(args);
}

void log_notice(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LOG_LEVEL_NOTICE, format, args);
    va_end(args);
}

void log_info(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LOG_LEVEL_INFO, format, args);
    va_end(args);
}

void log_debug(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(LOG_LEVEL_DEBUG, format, args);
    va_end(args);
}
