/* clock.h - the clocks, and chance, read here and nowhere else; pure code gets
 * both as arguments.
 *
 * uptime: milliseconds since boot, suspend included (CLOCK_BOOTTIME); never
 *         steps, the same for every process until the next boot.
 * wall:   milliseconds since 1970-01-01 UTC (CLOCK_REALTIME); may step.
 */
#ifndef SLUICE_CLOCK_H
#define SLUICE_CLOCK_H

#include "base.h"
#include <stdbool.h>

int64_t clock_uptime_ms(void);
int64_t clock_wall_ms(void);

/* Evenly distributed chance for waits, which pure code gets as an argument as it
 * does time; no secret. Never waits, not even early at boot. */
uint32_t clock_chance(void);

/* What the kernel says about the wall clock (adjtimex(2), STA_UNSYNC). False
 * when it may not be asked. */
bool clock_synchronised(void);

/* The kernel's random id of this boot, 36 characters, or "unknown". Static. */
const char *clock_boot_id(void);

/* "2026-11-22T17:33:16.123Z" (RFC 3339, UTC, milliseconds) into a buffer of
 * CLOCK_RFC3339_BYTES. */
#define CLOCK_RFC3339_BYTES 32
void clock_format_rfc3339(int64_t wall_ms, char text[static CLOCK_RFC3339_BYTES]);

/* Parses an HTTP date (RFC 9110, section 5.6.7, all three forms) into
 * milliseconds since 1970; -EINVAL when it is none. */
int clock_parse_http_date(const char *text, int64_t *ret_wall_ms);

#endif
