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
    char state[FAULT_STATE_BYTES];
    fault_clock(&offset_ms, state);
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

/* The kernel increases maxerror since the last report of an NTP daemon. At this value it
 * sets STA_UNSYNC itself. */
#define MAXERROR_MOST_US 16000000L

/* chrony without `rtcsync` leaves STA_UNSYNC set, so that the kernel does not write to the
 * hardware clock. But like every daemon it reports the remaining error, and systemd's
 * timedatectl uses that too. */
enum clock_state clock_state_of(int result, int status, long maxerror_us)
{
    if (result < 0)
        return CLOCK_DENIED;
    if (!(status & STA_UNSYNC))
        return CLOCK_SYNCHRONISED;
    return maxerror_us < MAXERROR_MOST_US ? CLOCK_UNFLAGGED : CLOCK_UNSYNCHRONISED;
}

enum clock_state clock_kernel_state(void)
{
    static const char *const names[] = {
        [CLOCK_SYNCHRONISED] = "synchronised",
        [CLOCK_UNFLAGGED] = "unflagged",
        [CLOCK_UNSYNCHRONISED] = "unsynchronised",
        [CLOCK_DENIED] = "denied",
    };
    int64_t offset_ms;
    char state[FAULT_STATE_BYTES];
    if (fault_clock(&offset_ms, state))
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            if (strcmp(state, names[i]) == 0)
                return (enum clock_state)i;
    struct timex kernel = {.modes = 0}; /* reads only */
    int result = adjtimex(&kernel);
    return clock_state_of(result, kernel.status, (long)kernel.maxerror);
}

static bool trusted;

void clock_trust(void)
{
    trusted = true;
}

bool clock_synchronised(void)
{
    return trusted || clock_kernel_state() <= CLOCK_UNFLAGGED;
}

struct clock_epoch clock_epoch(void)
{
    int64_t before_ms = clock_uptime_ms(), wall_ms, after_ms;
    for (int tries = 3;; tries--) { /* the process may be interrupted between the two */
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
    ssize_t got = read(fd, id, BOOT_ID_BYTES); /* procfs returns all of it, or nothing */
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

/* The years 0 to 9999, which RFC 3339 can express. */
#define RFC3339_LEAST_MS INT64_C(-62167219200000)
#define RFC3339_MOST_MS  INT64_C(253402300799999)

/* Writes a number with leading zeros, and a mark after it. Returns the place after both.
 * Every request contains such a time, and printf needs ten times as long. */
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
    /* strptime() expects English names because the process stays in the "C" locale. Its %y
     * puts 69 to 99 into the 20th century. The rule of RFC 9110 for two digits depends on the
     * current year, which this machine may not know. */
    static const char *const forms[] = {
        "%a, %d %b %Y %H:%M:%S GMT", /* the usual one */
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
            return -EINVAL; /* 31 February; but a leap second may end a day */
        *ret_wall_ms = seconds * 1000;
        return 0;
    }
    return -EINVAL;
}
