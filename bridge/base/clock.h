/* base/clock.h - the clocks and random numbers. Only this file reads them; pure code gets
 * both as arguments.
 *
 * uptime: milliseconds since boot, suspend included (CLOCK_BOOTTIME). It never steps, and
 *         it is the same for every process until the next boot.
 * wall:   milliseconds since 1970-01-01 UTC (CLOCK_REALTIME). It may step, and it has any
 *         value until somebody sets it: the clock of a Raspberry Pi does not survive a
 *         power cut.
 *
 * Order, waits and ages are measured by uptime. The wall clock only gives times for others
 * to read (see queue/clock.c).
 */
#ifndef SLUICE_CLOCK_H
#define SLUICE_CLOCK_H

#include "base/base.h"
#include <stdbool.h>

int64_t clock_uptime_ms(void);
int64_t clock_wall_ms(void);
/* Microseconds since an unspecified moment, to measure durations. */
int64_t clock_steady_us(void);

/* An evenly distributed random number, for waits; not for secrets. Never blocks, not even
 * early at boot. */
uint32_t clock_chance(void);

/* What the kernel says about the wall clock. */
enum clock_state {
    CLOCK_SYNCHRONISED,
    CLOCK_UNFLAGGED,      /* synchronised, although the flag STA_UNSYNC is set */
    CLOCK_UNSYNCHRONISED, /* or the kernel does not know that it is synchronised */
    CLOCK_DENIED,         /* this process may not ask the kernel */
};
enum clock_state clock_kernel_state(void);
/* The state that the result of adjtimex(2), its status and its maxerror mean. */
enum clock_state clock_state_of(int result, int status, long maxerror_us);

/* From now on the wall clock counts as right, whatever the kernel says (clock = trust).
 * To be called once, at start. */
void clock_trust(void);
/* Whether the wall clock is right: it is synchronised, or it is trusted. */
bool clock_synchronised(void);

/* The wall clock at uptime 0: a time of this boot is this plus an uptime. Slewing (NTP,
 * adjtime) changes both clocks in the same way; only a step changes the epoch. */
struct clock_epoch {
    int64_t ms;
    bool synchronised;
    bool trusted; /* synchronised only because of clock_trust() */
};
struct clock_epoch clock_epoch(void);

/* The kernel's random id of this boot, 36 characters. Where it cannot be read, every
 * process has another. Static. */
const char *clock_boot_id(void);

/* "2026-11-22T17:33:16.123Z" (RFC 3339, UTC, milliseconds) into a buffer of
 * CLOCK_RFC3339_BYTES. */
#define CLOCK_RFC3339_BYTES 32
void clock_format_rfc3339(int64_t wall_ms, char text[static CLOCK_RFC3339_BYTES]);

/* Parses an HTTP date (RFC 9110, section 5.6.7, all three forms) into milliseconds since
 * 1970. Returns 0 or -EINVAL. */
int clock_parse_http_date(const char *text, int64_t *ret_wall_ms);

#endif
