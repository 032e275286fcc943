/* base/clock.h - the clocks, and chance, read here and nowhere else; pure code gets
 * both as arguments.
 *
 * uptime: milliseconds since boot, suspend included (CLOCK_BOOTTIME); never
 *         steps, the same for every process until the next boot.
 * wall:   milliseconds since 1970-01-01 UTC (CLOCK_REALTIME); may step, and is
 *         anything until somebody sets it: a Raspberry Pi has no clock that
 *         survives a power cut.
 *
 * What must be in order, wait, or grow old is measured by uptime. The wall clock
 * only names times for others (see queue/clock.c).
 */
#ifndef SLUICE_CLOCK_H
#define SLUICE_CLOCK_H

#include "base/base.h"
#include <stdbool.h>

int64_t clock_uptime_ms(void);
int64_t clock_wall_ms(void);
/* Microseconds from anywhere, to tell how long something took. */
int64_t clock_steady_us(void);

/* Evenly distributed chance for waits, which pure code gets as an argument as it
 * does time; no secret. Never waits, not even early at boot. */
uint32_t clock_chance(void);

/* What the kernel says about the wall clock. */
enum clock_word {
    CLOCK_SYNCHRONISED,
    CLOCK_UNFLAGGED,      /* it is right, but nobody told so by the flag STA_UNSYNC */
    CLOCK_UNSYNCHRONISED, /* or nobody told the kernel that it is right */
    CLOCK_DENIED,         /* the kernel may not be asked */
};
enum clock_word clock_ask(void);
/* The word for what adjtimex(2) returned, and its status and maxerror. */
enum clock_word clock_judge(int result, int status, long maxerror_us);

/* Takes the wall clock for right, whatever the kernel says: `clock = trust`. To
 * be called once, at start, if at all. */
void clock_trust(void);
/* Whether the wall clock is right: the kernel says so, or it is trusted. */
bool clock_synchronised(void);

/* The wall clock at uptime 0; a time of this boot is this plus an uptime. Slewing
 * (NTP, adjtime) moves both clocks alike, for weeks; only a step changes it. */
struct clock_epoch {
    int64_t ms;
    bool synchronised;
    bool trusted; /* ... which nobody vouches for */
};
struct clock_epoch clock_epoch(void);

/* The kernel's random id of this boot, 36 characters. Where it cannot be read, no
 * two processes have the same. Static. */
const char *clock_boot_id(void);

/* "2026-11-22T17:33:16.123Z" (RFC 3339, UTC, milliseconds) into a buffer of
 * CLOCK_RFC3339_BYTES. */
#define CLOCK_RFC3339_BYTES 32
void clock_format_rfc3339(int64_t wall_ms, char text[static CLOCK_RFC3339_BYTES]);

/* Parses an HTTP date (RFC 9110, section 5.6.7, all three forms) into
 * milliseconds since 1970; -EINVAL when it is none. */
int clock_parse_http_date(const char *text, int64_t *ret_wall_ms);

#endif
