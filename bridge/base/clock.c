/* base/clock.c - the clocks, and times as text; see base/clock.h. */
#include "base/clock.h"
#include "base/fault.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define BOOT_ID_BYTES 36

static int64_t read_ms(clockid_t clock)
{
    struct timespec now;
    int r = clock_gettime(clock, &now);
    assert(r == 0); /* both clocks exist since Linux 2.6.39 */
    (void)r;
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_uptime_ms(void)
{
    return read_ms(CLOCK_BOOTTIME);
}

int64_t clock_steady_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    int64_t offset_ms = 0;
    char word[FAULT_WORD_BYTES];
    fault_clock(&offset_ms, word);
    return read_ms(CLOCK_REALTIME) + offset_ms;
}

uint32_t clock_chance(void)
{
    uint32_t chance;
    if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) != (ssize_t)sizeof chance)
        chance = (uint32_t)clock_uptime_ms() * 2654435761u; /* before the kernel's pool is seeded */
    return chance;
}

/* ---- whether the wall clock is right ---- */

/* The kernel lets maxerror grow from the last word of an NTP daemon on; here, it
 * says so by STA_UNSYNC as well. */
#define MAXERROR_MOST_US 16000000L

/* chrony without `rtcsync` leaves STA_UNSYNC set, to keep the kernel from writing
 * to the hardware clock; but it reports the error that is left, as every daemon
 * does. systemd's timedatectl goes by that, too. */
enum clock_word clock_judge(int result, int status, long maxerror_us)
{
    if (result < 0)
        return CLOCK_DENIED;
    if (!(status & STA_UNSYNC))
        return CLOCK_SYNCHRONISED;
    return maxerror_us < MAXERROR_MOST_US ? CLOCK_UNFLAGGED : CLOCK_UNSYNCHRONISED;
}

enum clock_word clock_ask(void)
{
    static const char *const words[] = {
        [CLOCK_SYNCHRONISED] = "synchronised",
        [CLOCK_UNFLAGGED] = "unflagged",
        [CLOCK_UNSYNCHRONISED] = "unsynchronised",
        [CLOCK_DENIED] = "denied",
    };
    int64_t offset_ms;
    char word[FAULT_WORD_BYTES];
    if (fault_clock(&offset_ms, word))
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            if (strcmp(word, words[i]) == 0)
                return (enum clock_word)i;
    struct timex kernel = {.modes = 0}; /* ask, change nothing */
    int result = adjtimex(&kernel);
    return clock_judge(result, kernel.status, (long)kernel.maxerror);
}

static bool trusted;

void clock_trust(void)
{
    trusted = true;
}

bool clock_synchronised(void)
{
    return trusted || clock_ask() <= CLOCK_UNFLAGGED;
}

struct clock_epoch clock_epoch(void)
{
    int64_t before_ms = clock_uptime_ms(), wall_ms, after_ms;
    for (int tries = 3;; tries--) { /* we may lose the processor between the two */
        wall_ms = clock_wall_ms();
        after_ms = clock_uptime_ms();
        if (after_ms - before_ms <= 1 || tries == 0)
            break;
        before_ms = after_ms;
    }
    return (struct clock_epoch){
        .ms = wall_ms - after_ms, .synchronised = clock_synchronised(), .trusted = trusted};
}

/* ---- which boot this is ---- */

static bool read_boot_id(char id[static BOOT_ID_BYTES])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, id, BOOT_ID_BYTES); /* procfs gives it whole or not at all */
    close(fd);
    return got == BOOT_ID_BYTES;
}

const char *clock_boot_id(void)
{
    static char id[BOOT_ID_BYTES + 1];
    if (id[0])
        return id;
    char text[BOOT_ID_BYTES + 1] = "";
    if (!read_boot_id(text))
        snprintf(text, sizeof text, "unknown-%08x%08x%08x", clock_chance(), clock_chance(), clock_chance());
    memcpy(id, text, sizeof id);
    return id;
}

/* ---- times as text ---- */

/* The years 0 to 9999, for which RFC 3339 has a form. */
#define RFC3339_LEAST_MS INT64_C(-62167219200000)
#define RFC3339_MOST_MS  INT64_C(253402300799999)

/* Writes a number with leading zeros and a mark behind it; returns the place after
 * both. Every request has such a time, and printf takes ten times as long. */
static char *put_digits(char *at, int number, int digits, char mark)
{
    for (int i = digits - 1; i >= 0; i--, number /= 10)
        at[i] = (char)('0' + number % 10);
    at[digits] = mark;
    return at + digits + 1;
}

void clock_format_rfc3339(int64_t wall_ms, char text[static CLOCK_RFC3339_BYTES])
{
    if (wall_ms < RFC3339_LEAST_MS)
        wall_ms = RFC3339_LEAST_MS;
    if (wall_ms > RFC3339_MOST_MS)
        wall_ms = RFC3339_MOST_MS;
    int64_t ms = wall_ms % 1000;
    if (ms < 0)
        ms += 1000; /* before 1970: the seconds round down, not towards zero */
    time_t seconds = (time_t)((wall_ms - ms) / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char *at = put_digits(text, utc.tm_year + 1900, 4, '-');
    at = put_digits(at, utc.tm_mon + 1, 2, '-');
    at = put_digits(at, utc.tm_mday, 2, 'T');
    at = put_digits(at, utc.tm_hour, 2, ':');
    at = put_digits(at, utc.tm_min, 2, ':');
    at = put_digits(at, utc.tm_sec, 2, '.');
    at = put_digits(at, (int)ms, 3, 'Z');
    *at = '\0';
}

int clock_parse_http_date(const char *text, int64_t *ret_wall_ms)
{
    /* strptime() reads these names as English because the process stays in the
     * "C" locale. Its %y puts 69 to 99 into the 20th century; RFC 9110's rule
     * for two digits moves with the year in which one asks, which is no help to
     * a machine that may not know the year. */
    static const char *const forms[] = {
        "%a, %d %b %Y %H:%M:%S GMT", /* the one that is sent today */
        "%A, %d-%b-%y %H:%M:%S GMT", /* RFC 850 */
        "%a %b %e %H:%M:%S %Y",      /* asctime() */
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct tm date = {0};
        const char *end = strptime(text, forms[i], &date);
        if (!end || *end)
            continue;
        struct tm normal = date;
        int64_t seconds = (int64_t)timegm(&normal);
        if (normal.tm_mday != date.tm_mday && date.tm_sec < 60)
            return -EINVAL; /* 31 February; a leap second may well end a day */
        *ret_wall_ms = seconds * 1000;
        return 0;
    }
    return -EINVAL;
}
