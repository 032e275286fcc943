/* base/log.c - see base/log.h.
 *
 * A line is built on the stack and written with one system call, so that the lines of several
 * processes on one terminal do not mix. A message longer than MESSAGE_BYTES is cut, and ends
 * in "...". A line that cannot be written is lost: there is no place to report it.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/repeat.h"
#include "base/utf8.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef HAVE_SYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#endif

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

static const char *const events[] = {
#define EVENT_NAME(constant, name, meaning) [EVENT_##constant] = name,
    LOG_EVENTS(EVENT_NAME)
#undef EVENT_NAME
};

#define EVENT_COUNT ARRAY_LEN(events)

/* Only a person causes these, and reads them all: a configuration may have more errors than
 * an event may have lines. Or another thread than the loop's logs them, which shares no memory with it
 * here (daemon/watchdog.c). */
static const bool unlimited[EVENT_COUNT] = {
    [EVENT_READY] = true,          [EVENT_STOPPING] = true,       [EVENT_STOPPED] = true,
    [EVENT_CONFIG_ERROR] = true,   [EVENT_CONFIG_REFUSED] = true, [EVENT_CONFIG_RELOADED] = true,
    [EVENT_RESTART_NEEDED] = true, [EVENT_SECRET_EXPOSED] = true, [EVENT_SECRET_DOUBTFUL] = true,
    [EVENT_HTTP_LISTENING] = true, [EVENT_DISK_SLOW] = true,      [EVENT_DISK_RESPONDS] = true,
};

/* One for the process, as there is one standard error. */
static struct {
    enum log_level most;
    bool journal; /* standard error is the journal */
    bool native;  /* and it takes fields; false in a container without its own journal */
    bool all;     /* ignore the level of the configuration */
    struct {
        struct repeat repeat;
        enum log_level level; /* the most important one of what was left out */
        char *last;           /* the last text that was left out */
    } events[EVENT_COUNT];
} state = {.most = LOG_LEVEL_INFO};

/* JOURNAL_STREAM is "DEVICE:INODE" of the journal's socket. A child whose standard error
 * goes elsewhere inherits the variable as well. */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat file;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &file) == 0 &&
           file.st_dev == device && file.st_ino == inode;
}

void log_init(enum log_level most)
{
    state.most = most;
    state.all = most == LOG_LEVEL_DEBUG;
    state.journal = is_journal();
    state.native = state.journal && access("/run/systemd/journal/socket", W_OK) == 0;
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

/* Copies text to line, which has four bytes for each byte of text. Control characters (of
 * ASCII, and of ISO 6429, which terminals obey, too) and bytes that are not UTF-8 become
 * \xNN. Returns the number of bytes. */
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

/* Cuts a message that vsnprintf() cut already, but not in the middle of a character. */
static size_t end_with_dots(char message[static MESSAGE_BYTES])
{
    size_t bytes = MESSAGE_BYTES - sizeof("...");
    while (bytes > 0 && ((unsigned char)message[bytes] & 0xc0) == 0x80)
        bytes--;
    memcpy(message + bytes, "...", sizeof("..."));
    return bytes + 3;
}

/* False: the journal did not take it. sd_journal_send() succeeds where there is no journal. */
static bool write_to_journal(enum log_level level, enum log_event event, const char *line)
{
#ifdef HAVE_SYSTEMD
    return sd_journal_send("MESSAGE=%s: %s", events[event], line, "PRIORITY=%i", levels[level].priority,
                           "SLUICE_EVENT=%s", events[event], "SYSLOG_IDENTIFIER=sluice", NULL) == 0;
#else
    (void)level, (void)event, (void)line;
    return false;
#endif
}

static void write_line(enum log_level level, enum log_event event, const char *message, size_t bytes)
{
    char line[PREFIX_BYTES + 4 * MESSAGE_BYTES + 1];
    char *text = line + PREFIX_BYTES;
    size_t text_bytes = escape(text, message, bytes);
    text[text_bytes] = '\0';
    if (state.native && write_to_journal(level, event, text))
        return;

    char prefix[PREFIX_BYTES + 1];
    int prefix_bytes;
    if (state.journal) {
        prefix_bytes = snprintf(prefix, sizeof prefix, "<%d>%s: ", levels[level].priority, events[event]);
    } else {
        char now[CLOCK_RFC3339_BYTES];
        clock_format_rfc3339(clock_wall_ms(), now);
        prefix_bytes = snprintf(prefix, sizeof prefix, "%s %s %s: ", now, levels[level].name, events[event]);
    }
    assert(prefix_bytes > 0 && (size_t)prefix_bytes <= PREFIX_BYTES);
    memcpy(text - prefix_bytes, prefix, (size_t)prefix_bytes);
    text[text_bytes] = '\n';
    if (write(STDERR_FILENO, text - prefix_bytes, (size_t)prefix_bytes + text_bytes + 1) < 0)
        return;
}

/* ---- repetitions ---- */

static void close_minute(enum log_event event)
{
    uint64_t count = repeat_close(&state.events[event].repeat);
    if (count == 0)
        return;
    char message[MESSAGE_BYTES];
    int length = snprintf(message, sizeof message, "%llu more in the last minute, the last: %s",
                          (unsigned long long)count, state.events[event].last);
    size_t bytes = (size_t)length < sizeof message ? (size_t)length : end_with_dots(message);
    write_line(state.events[event].level, event, message, bytes);
    free(state.events[event].last);
    state.events[event].last = NULL;
}

/* Whether to leave out a line, which is then counted. */
static bool is_repetition(enum log_level level, enum log_event event, const char *message)
{
    if (unlimited[event] || log_enabled(LOG_LEVEL_DEBUG))
        return false;
    struct repeat *repeat = &state.events[event].repeat;
    int64_t now_ms = clock_uptime_ms();
    if (repeat_is_over(repeat, now_ms))
        close_minute(event);
    if (repeat_passes(repeat, repeat_subject(message), now_ms))
        return false;
    if (!state.events[event].last || level < state.events[event].level)
        state.events[event].level = level;
    free(state.events[event].last);
    state.events[event].last = xstrdup(message);
    return true;
}

void log_repetitions(bool all)
{
    int64_t now_ms = clock_uptime_ms();
    for (size_t event = 0; event < EVENT_COUNT; event++)
        if (all || repeat_is_over(&state.events[event].repeat, now_ms))
            close_minute((enum log_event)event);
}

void log_write(enum log_level level, enum log_event event, const char *format, ...)
{
    if (!log_enabled(level))
        return;
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    assert(length >= 0);
    size_t bytes = (size_t)length < sizeof(message) ? (size_t)length : end_with_dots(message);
    if (!is_repetition(level, event, message))
        write_line(level, event, message, bytes);
}
